// Compiles everything: `tsc -b`, then bundles with esbuild: the CLI and the supervisor (quick to start, small in memory) and each
// buildpack's programs (they run in the build container, where there are no packages).
import { spawnSync } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
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
await build({
  ...common,
  entryPoints: { croft: 'apps/cli/dist/main.js', supervisor: 'apps/cli/dist/up/supervisor-main.js' },
  outdir: 'apps/cli/dist',
  outExtension: { '.js': '.mjs' },
  // the first finds its C source beside itself; the second shares with it what the bundle has copies of
  external: ['@croft/backend-linux', '@croft/cli/garden'],
})

for (const entry of globSync('buildpacks/*/dist/{build,detect}.js', { cwd: root })) {
  const outfile = join(dirname(entry), `${basename(entry, '.js')}.mjs`)
  await build({ ...common, sourcemap: false, entryPoints: [entry], outfile })
}
if (!existsSync(join(root, 'apps/cli/dist/croft.mjs'))) throw new Error('apps/cli/dist/croft.mjs was not made')
