// Compiles everything: `tsc -b`, then bundles with esbuild: the CLI and the supervisor (quick to start, small in memory), the
// components (half of the CPU time of their start would be finding 2,000 files; the text of the bundle costs each a few MB), the
// container API that runs by itself, and each
// buildpack's programs (they run in the build container, where there are no packages).
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const compiled = spawnSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-b', join(root, 'tsconfig.json')],
  { stdio: 'inherit' },
)
if (compiled.status !== 0) process.exit(compiled.status ?? 1)

const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  sourcemap: 'linked',
  sourcesContent: false,
  logLevel: 'warning',
  absWorkingDir: root,
  // packages that are CommonJS ask for `require`
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
}
/** Packages that are asked for in case they are there, as Nest and TypeORM do, stay questions for the running program. */
const optionalPackages = {
  name: 'optional-packages',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^[^./]/, namespace: 'file' }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (!['require-call', 'dynamic-import'].includes(kind) || pluginData === asked) return
      const found = await resolve(path, { kind, importer, resolveDir, pluginData: asked })
      return found.errors.length === 0 ? found : { path, external: true }
    })
  },
}
const asked = Symbol('asked')
/** A module of ours that finds a file beside itself finds it from the bundle too: the layout of the checkout is the program's. */
const ownUrls = (outdir) => ({
  name: 'own-urls',
  setup({ onLoad }) {
    onLoad({ filter: /\/(apps|libs)\/[^/]+\/dist\/.*\.js$/ }, ({ path }) => {
      const url = `new URL(${JSON.stringify(relative(outdir, path))}, import.meta.url).href`
      return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', url), loader: 'js' }
    })
  },
})
/**
 * Importing node:http looks at all it has, and some of that is node's own fetch, loaded as soon as it is looked at: a tenth of a
 * second of processor time at every start. Asked for in this way only what is used is looked at.
 */
const plainHttp = {
  name: 'plain-http',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?https?$/ }, ({ path }) => ({
      path: path.replace(/^(node:)?/, 'node:'),
      namespace: 'plain',
    }))
    onLoad({ filter: /.*/, namespace: 'plain' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }))
  },
}
const components = ['controller', 'executor', 'router'].map((app) =>
  build({
    ...common,
    sourcemap: false,
    keepNames: true, // Nest and TypeORM go by the names of classes
    entryPoints: [`apps/${app}/dist/main.js`],
    outfile: `apps/${app}/dist/${app}.mjs`,
    plugins: [plainHttp, optionalPackages, ownUrls(join(root, 'apps', app, 'dist'))],
  }),
)
// what is imported when it is needed is a file of its own, which is not even read before; beside the bundle, for `ownUrls`
for (const chunk of globSync('apps/cli/dist/garden/chunk-*.mjs', { cwd: root })) rmSync(join(root, chunk))
const garden = build({
  ...common,
  sourcemap: false,
  splitting: true,
  chunkNames: 'chunk-[name]-[hash]',
  entryPoints: { garden: 'apps/cli/dist/garden/serve.js' },
  outdir: 'apps/cli/dist/garden',
  outExtension: { '.js': '.mjs' },
  plugins: [plainHttp, optionalPackages, ownUrls(join(root, 'apps/cli/dist/garden'))],
})
await Promise.all([...components, garden])

rmSync(join(root, 'apps/cli/dist/chunks'), { recursive: true, force: true })
await build({
  ...common,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  entryPoints: { croft: 'apps/cli/dist/main.js', supervisor: 'apps/cli/dist/up/supervisor-main.js' },
  outdir: 'apps/cli/dist',
  outExtension: { '.js': '.mjs' },
  // the first finds its C source beside itself; the second is a bundle of its own
  external: ['@croft/backend-linux', '@croft/cli/garden'],
  plugins: [plainHttp],
})

for (const entry of globSync('buildpacks/*/dist/{build,detect}.js', { cwd: root })) {
  const outfile = join(dirname(entry), `${basename(entry, '.js')}.mjs`)
  await build({ ...common, sourcemap: false, entryPoints: [entry], outfile })
}
if (!existsSync(join(root, 'apps/cli/dist/croft.mjs'))) throw new Error('apps/cli/dist/croft.mjs was not made')
