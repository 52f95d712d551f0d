import { join } from 'node:path'
import { run } from '@croft/buildpack-kit'
import { npmFailure, packageCount } from '../npm-messages.js'
import type { Installed, ToolSetting, PackageTool } from '../package-tool.js'

export const QUIET = ['--no-update-notifier', '--logs-max=0', '--loglevel=error']
const FLAGS = [...QUIET, '--no-audit', '--no-fund', '--no-progress', '--prefer-offline']

/** Where npm lies beside the Node that has it. */
export function npmCli(node: string): string {
  return join(node, '../../lib/node_modules/npm/bin/npm-cli.js')
}

/** npm, which comes with Node. Without a lock file it installs what package.json asks for. */
export class Npm implements PackageTool {
  readonly name = 'npm'
  readonly reads = ['.npmrc']
  readonly leaves = ['node_modules']
  readonly replaces = []
  readonly spends = []
  readonly installScripts = ['install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']
  readonly cacheLayer = 'npm-cache'
  readonly mustBeInPlace = false
  readonly env = {}

  constructor(
    readonly version: string,
    readonly lockFile: string | null,
    private readonly setting: ToolSetting,
  ) {}

  async install(folder: string, withDev: boolean): Promise<Installed> {
    const verb = this.lockFile === null ? 'install' : 'ci'
    const stdout = await this.#run(folder, `npm ${verb}`, [verb, withDev ? '--include=dev' : '--omit=dev'])
    return { call: `npm ${verb}`, packages: packageCount(stdout) }
  }

  async add(folder: string): Promise<Installed> {
    const stdout = await this.#run(folder, 'npm install', ['install', '--omit=dev', '--package-lock'])
    return { call: 'npm install', packages: packageCount(stdout) }
  }

  async prune(folder: string): Promise<void> {
    await this.#run(folder, 'npm prune', ['prune', '--omit=dev', '--ignore-scripts'])
  }

  async #run(cwd: string, what: string, args: readonly string[]): Promise<string> {
    const { node, cache, env } = this.setting
    const ran = await run(node, [npmCli(node), ...args, ...FLAGS, `--cache=${cache}`], { cwd, env, shows: 'errors' })
    if (ran.exitCode !== 0) throw npmFailure(what, ran.exitCode, ran.stderr + ran.stdout)
    return ran.stdout
  }
}
