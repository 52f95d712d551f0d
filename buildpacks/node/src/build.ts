import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { BuildFailure, Layer, runBuild } from '@croft/buildpack-kit'
import { chooseTool } from './choose-tool.js'
import { Installer } from './install.js'
import { toolOf } from './tool-of.js'
import { provideNode } from './node-layer.js'
import { wantedNode } from './node-version.js'
import { parsePackageJson } from './package-json.js'
import { startCommand } from './start-command.js'

/** `bin/build` of the Node.js buildpack: Node, dependencies, the build script, and how the app is started. */

const PLATFORM_NODE = process.env['CROFT_NODE'] ?? '/cnb/croft/node'
const PLATFORM_NPM = process.env['CROFT_NPM'] ?? '/cnb/croft/npm'
const TEMPORARY = '/tmp'
/** With one of these the app is of another language, and its assets are what Node.js is for. */
const OTHER_LANGUAGES = [
  'Gemfile',
  'gems.rb',
  'composer.json',
  'index.php',
  'manage.py',
  'requirements.txt',
  'pyproject.toml',
]

await runBuild(async ({ layersDirectory, appDirectory, env: inherited }) => {
  const read = (file: string): string | undefined => {
    try {
      return readFileSync(join(appDirectory, file), 'utf8')
    } catch {
      return undefined
    }
  }
  const app = parsePackageJson(read('package.json') ?? '')
  const start = startCommand(app.scripts, app.main, (file) => existsSync(join(appDirectory, file)))
  const isBesides = OTHER_LANGUAGES.some((file) => existsSync(join(appDirectory, file)))
  if (start === null && !isBesides && !existsSync(join(appDirectory, 'Procfile'))) {
    throw new BuildFailure(
      'nothing says how the app is started',
      'add a start script to package.json, or a Procfile with a line  web: node server.js',
    )
  }

  const wanted = wantedNode({ engines: app.engines['node'], nvmrc: read('.nvmrc'), nodeVersion: read('.node-version') })
  const platform = { node: PLATFORM_NODE, npm: PLATFORM_NPM, temporary: TEMPORARY, env: inherited }
  const node = await provideNode(new Layer(layersDirectory, 'node'), wanted, platform)

  const nodeEnv = process.env['NODE_ENV'] ?? 'production'
  const distribution = `${process.env['CNB_TARGET_DISTRO_NAME'] ?? ''}-${process.env['CNB_TARGET_DISTRO_VERSION'] ?? ''}`
  const toolLayer = new Layer(layersDirectory, 'package-tool')
  const env = {
    ...inherited,
    NODE_ENV: nodeEnv,
    PATH: [node.bin, join(toolLayer.path, 'bin'), process.env['PATH'] ?? '/usr/bin:/bin'].join(':'),
    ...(node.isPlatformVersion && { npm_config_nodedir: PLATFORM_NODE }),
  }
  const readOrNull = (file: string): string | null => read(file) ?? null
  const chosen = chooseTool(app, readOrNull)
  const started = start === null ? '' : [...start.command, ...start.args].join(' ')
  const starts = [started, ...(read('Procfile') ?? '').split('\n').map((line) => line.replace(/^[^:]*:/, ''))]
  const input = { app, appDirectory, node, access: platform, starts, env, read: readOrNull }
  const tool = await toolOf(chosen, toolLayer, input)
  await new Installer({
    app,
    appDirectory,
    layersDirectory,
    tool,
    warnings: chosen.warnings,
    node: join(node.bin, 'node'),
    nodeVersion: node.version,
    nodeEnv,
    platform: `${distribution}-${process.arch}`,
    env,
  }).install()

  if (start !== null) {
    const processes = [{ type: 'web', command: start.command, args: start.args, default: true }]
    writeFileSync(join(layersDirectory, 'launch.toml'), `${stringify({ processes })}\n`)
  }
})
