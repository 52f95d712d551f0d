import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BuildFailure, Layer, run, runBuild, say } from '@croft/buildpack-kit'
import { stringify } from 'smol-toml'
import { parseProcfile, processesOf } from './processes.js'
import { parseRelease, type Release } from './release.js'
import { foldersOf, slicesOf } from './slices.js'

/**
 * `bin/build` of the adapter for Heroku's classic buildpacks: runs each `bin/compile` in the app's folder under the path the app has
 * at run time, so that paths baked in stay true, and says in layers and `launch.toml` what they left.
 */

/** Stacks whose programs run on ours: the C library is at least as new. */
const STACKS: Readonly<Record<string, string>> = { '11': 'heroku-20', '12': 'heroku-22', '13': 'heroku-24' }

/** Starts a program in the environment that exports of classic buildpacks make. */
const BEHIND_EXPORTS = join(process.env['CNB_BUILDPACK_DIR'] ?? '.', 'bin/behind-exports')

interface Classic {
  /** What people call it. */
  name: string
  folder: string
}

await runBuild(async ({ layersDirectory, env }) => {
  const app = env['CROFT_CLASSIC_APP'] ?? '/app'
  const classics = classicsIn(env['CROFT_CLASSIC'] ?? '/cnb/croft/foreign/classic')
  const cache = new Layer(layersDirectory, 'cache')
  mkdirSync(cache.path, { recursive: true })
  const variables = join(env['CNB_PLATFORM_DIR'] ?? '/platform', 'env')
  const surroundings = surroundingsOf(env, app)
  const before = foldersOf(app)
  const exports: string[] = []
  let release: Release = parseRelease('')
  for (const classic of classics) {
    if (classics.length > 1) say.step(`Running ${classic.name}`)
    await compile(classic, { app, cache: cache.path, variables, exports, env: surroundings })
    release = await releaseOf(classic, app, surroundings)
    const exported = join(classic.folder, 'export')
    if (existsSync(exported)) exports.push(exported)
  }
  cache.describe({ cache: true }, {})
  await handOn(new Layer(layersDirectory, 'export'), exports, surroundings)
  describeLaunch(new Layer(layersDirectory, 'profile'), app, release)
  const procfile = join(app, 'Procfile')
  const types = parseProcfile(existsSync(procfile) ? readFileSync(procfile, 'utf8') : '')
  const launch = {
    processes: processesOf(types, release.processTypes, app),
    slices: slicesOf(before, foldersOf(app)).map((path) => ({ paths: [path] })),
    labels: [{ key: 'io.croft.buildpacks.classic', value: classics.map(({ name }) => name).join(', ') }],
  }
  writeFileSync(join(layersDirectory, 'launch.toml'), `${stringify(launch)}\n`)
})

function classicsIn(folder: string): Classic[] {
  const names = readFileSync(join(folder, 'names'), 'utf8').trim().split('\n')
  return names.map((name, at) => ({ name, folder: join(folder, String(at + 1)) }))
}

/** What a classic buildpack finds in its environment: a stack by Heroku's name and the app's home; nothing of our interface. */
function surroundingsOf(env: Readonly<Record<string, string>>, app: string): Record<string, string> {
  const own = Object.entries(env).filter(([name]) => !name.startsWith('CNB_') && !name.startsWith('CROFT_'))
  const version = /-(\d+)$/.exec(env['CNB_STACK_ID'] ?? '')?.[1] ?? ''
  return {
    ...Object.fromEntries(own),
    HOME: app,
    STACK: STACKS[version] ?? 'heroku-22',
    REQUEST_ID: `croft-${process.pid}`,
    BUILDPACK_LOG_FILE: '/dev/null',
  }
}

async function compile(
  { name, folder }: Classic,
  given: { app: string; cache: string; variables: string; exports: string[]; env: Record<string, string> },
): Promise<void> {
  const program = [join(folder, 'bin/compile'), given.app, given.cache, given.variables]
  const { exitCode } = await run(BEHIND_EXPORTS, [...given.exports, '--', ...program], {
    cwd: folder,
    env: given.env,
    shows: 'all',
  })
  if (exitCode === 0) return
  throw new BuildFailure(
    `bin/compile of ${name} failed with exit code ${exitCode}`,
    'read the lines above, fix the app and push again',
  )
}

async function releaseOf({ name, folder }: Classic, app: string, env: Record<string, string>): Promise<Release> {
  const program = join(folder, 'bin/release')
  if (!existsSync(program)) return parseRelease('')
  const { exitCode, stdout } = await run(program, [app], { cwd: folder, env, shows: 'errors' })
  if (exitCode !== 0)
    throw new BuildFailure(`bin/release of ${name} failed with exit code ${exitCode}`, 'fix the buildpack')
  return parseRelease(stdout)
}

/** What the exports of classic buildpacks changed, for the buildpacks behind them. */
async function handOn(layer: Layer, exports: readonly string[], env: Record<string, string>): Promise<void> {
  if (exports.length === 0) return layer.remove()
  const { stdout } = await run(BEHIND_EXPORTS, [...exports, '--', 'env', '-0'], { cwd: '/', env })
  const ignored = new Set(['_', 'SHLVL', 'PWD', 'OLDPWD', 'HOME', 'STACK'])
  const changed = stdout.split('\0').flatMap((pair) => {
    const at = pair.indexOf('=')
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)]
    return at <= 0 || ignored.has(name) || env[name] === value ? [] : [[`${name}.override`, value] as const]
  })
  layer.clear()
  layer.buildEnv(Object.fromEntries(changed))
  layer.describe({ build: true }, {})
}

/** What every process of the image starts with. */
function describeLaunch(layer: Layer, app: string, { configVars }: Release): void {
  layer.clear()
  mkdirSync(join(layer.path, 'profile.d'))
  const scripts = existsSync(join(app, '.profile.d')) ? readdirSync(join(app, '.profile.d')) : []
  const script = `export HOME=${app} DYNO="\${DYNO:-web.1}"\ncd "$HOME"\n${
    scripts.some((name) => name.endsWith('.sh'))
      ? 'for file in "$HOME"/.profile.d/*.sh; do . "$file"; done\nunset file\n'
      : ''
  }`
  writeFileSync(join(layer.path, 'profile.d', '0-classic.sh'), script)
  const defaults = [...configVars].map(([name, value]) => [`${name}.default`, value] as const)
  layer.launchEnv({ HOME: app, ...Object.fromEntries(defaults) })
  layer.describe({ launch: true }, {})
}
