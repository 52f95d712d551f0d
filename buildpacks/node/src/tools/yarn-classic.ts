import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BuildFailure, run } from '@croft/buildpack-kit'
import type { ToolProgram } from '../tool-program.js'
import { parsePackageJson, type PackageJson } from '../package-json.js'
import { userAgent, type Installed, type ToolSetting, type PackageTool } from '../package-tool.js'
import { yarnClassicFailure, yarnMisfit } from '../yarn-messages.js'
import { fromRegistry, missingInLock } from '../yarn-lock.js'
import { workspaceFiles } from './workspace-files.js'

/** yarn 1. */
export class YarnClassic implements PackageTool {
  readonly name = 'yarn'
  readonly version: string
  readonly reads = ['.npmrc', '.yarnrc']
  readonly leaves = ['node_modules']
  readonly replaces = []
  readonly spends = []
  readonly installScripts = ['install', 'postinstall', 'prepublish', 'prepare']
  readonly cacheLayer = 'yarn-cache'
  readonly env: Record<string, string>

  constructor(
    private readonly program: ToolProgram,
    readonly lockFile: string,
    /** Whether .yarnrc names a folder with archives of packages, which lies in the app. */
    readonly mustBeInPlace: boolean,
    private readonly app: PackageJson,
    private readonly setting: ToolSetting,
  ) {
    this.version = program.version
    this.env = { npm_config_user_agent: userAgent('yarn', program.version) }
  }

  async install(folder: string, withDev: boolean): Promise<Installed> {
    // yarn 1 does not notice what a workspace lacks, and of nothing it says which.
    const workspaces = workspaceFiles(folder, this.app).map((file) => readFileSync(join(folder, file), 'utf8'))
    const lock = readFileSync(join(folder, this.lockFile), 'utf8')
    const missing = missingInLock(lock, this.app, workspaces.map(parsePackageJson))
    if (missing !== null) throw new BuildFailure(...yarnMisfit(missing))
    await this.#install(folder, withDev, [])
    return { call: 'yarn install', packages: null }
  }

  async prune(folder: string): Promise<void> {
    await this.#install(folder, false, ['--ignore-scripts'])
  }

  async #install(cwd: string, withDev: boolean, flags: readonly string[]): Promise<void> {
    const { cache, env, registry } = this.setting
    const [program = '', ...words] = this.program.argv
    const lockFile = join(cwd, this.lockFile)
    const lock = readFileSync(lockFile, 'utf8')
    // Its lock file names the public registry in every address, and it asks nobody else.
    if (registry !== null) writeFileSync(lockFile, fromRegistry(lock, registry))
    const fixed = ['--frozen-lockfile', '--non-interactive', '--no-progress', `--production=${!withDev}`]
    const ran = await run(program, [...words, 'install', ...fixed, '--cache-folder', cache, ...flags], {
      cwd,
      env: {
        ...env,
        ...this.env,
        YARN_IGNORE_PATH: '1',
        NODE_OPTIONS: `${env['NODE_OPTIONS'] ?? ''} --no-deprecation`.trim(), // of its own old code
        ...(registry !== null && { YARN_REGISTRY: registry }),
      },
    })
    if (registry !== null) writeFileSync(lockFile, lock)
    if (ran.exitCode === 0) return
    process.stdout.write(ran.stdout + ran.stderr)
    throw yarnClassicFailure('yarn install', ran.exitCode, `${ran.stdout}\n${ran.stderr}`)
  }
}
