import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { BuildFailure, Layer, runBuild } from '@croft/buildpack-kit'
import { chooseTool } from './choose-tool.js'
import { BuildRecord } from './build-record.js'
import { Installer } from './install.js'
import { toolOf } from './tool-of.js'
import { provideNode } from './node-layer.js'
import { wantedNode } from './node-version.js'
import { parsePackageJson } from './package-json.js'
import { startCommand } from './start-command.js'
import { Workspace } from './workspace.js'

/** `bin/build` of the Node.js buildpack: Node, dependencies, the build script, and how the app is started. */

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
  const record = new BuildRecord(layersDirectory)
  const workspace = new Workspace(appDirectory, inherited)
  const read = (file: string): string | undefined => workspace.read(file)
  const exists = (file: string): boolean => workspace.exists(file)
  const app = parsePackageJson(read('package.json') ?? '')
  const start = startCommand(app.scripts, app.main, exists)
  const isBesides = OTHER_LANGUAGES.some(exists)
  if (start === null && !isBesides && !exists('Procfile')) {
    throw new BuildFailure(
      'nothing says how the app is started',
      'add a start script to package.json, or a Procfile with a line  web: node server.js',
    )
  }

  const wanted = wantedNode({ engines: app.engines['node'], nvmrc: read('.nvmrc'), nodeVersion: read('.node-version') })
  const platformNode = workspace.variable('CROFT_NODE') ?? '/cnb/croft/node'
  const platformNpm = workspace.variable('CROFT_NPM') ?? '/cnb/croft/npm'
  workspace.standOn(join(platformNode, 'package.json'))
  for (const file of ['dist/build.mjs', 'bin/build']) workspace.standOn(join(import.meta.dirname, '..', file))
  const platform = { node: platformNode, npm: platformNpm, temporary: TEMPORARY, env: inherited, read }
  const node = await provideNode(new Layer(layersDirectory, 'node'), wanted, platform)

  const nodeEnv = workspace.variable('NODE_ENV') ?? 'production'
  const distribution = `${workspace.variable('CNB_TARGET_DISTRO_NAME') ?? ''}-${workspace.variable('CNB_TARGET_DISTRO_VERSION') ?? ''}`
  const toolLayer = new Layer(layersDirectory, 'package-tool')
  const env = {
    ...inherited,
    NODE_ENV: nodeEnv,
    PATH: [node.bin, join(toolLayer.path, 'bin'), inherited['PATH'] ?? '/usr/bin:/bin'].join(':'),
    ...(node.isPlatformVersion && { npm_config_nodedir: platformNode }),
  }
  const readOrNull = (file: string): string | null => read(file) ?? null
  const chosen = chooseTool(app, readOrNull)
  const started = start === null ? '' : [...start.command, ...start.args].join(' ')
  const starts = [started, ...(read('Procfile') ?? '').split('\n').map((line) => line.replace(/^[^:]*:/, ''))]
  const input = { app, workspace, node, access: platform, starts, env, read: readOrNull }
  const tool = await toolOf(chosen, toolLayer, input)
  await new Installer({
    app,
    workspace,
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
  record.keep(workspace)
})
