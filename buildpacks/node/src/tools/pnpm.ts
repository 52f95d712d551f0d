import { globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '@croft/buildpack-kit'
import type { ToolProgram } from '../tool-program.js'
import { userAgent, type Installed, type ToolSetting, type PackageTool } from '../package-tool.js'
import { pnpmCount, pnpmFailure } from '../pnpm-messages.js'

/** Settings as its versions read them: up to 10 like npm's, later ones under its own name. */
function settings(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => [
      [`npm_config_${name}`, value],
      [`pnpm_config_${name}`, value],
    ]),
  )
}

/** What pnpm needs to know in a build and in the image: what is installed stays, and it is the version that is to be. */
export const PNPM_ENV = settings({
  verify_deps_before_run: 'false',
  manage_package_manager_versions: 'false',
  pm_on_fail: 'ignore',
})

/** Times and places that differ from one install to the next; nothing but pnpm's own next install reads them. */
const TRACES = ['.modules.yaml', '.pnpm-workspace-state*.json', '.tmp'].map((name) => `node_modules/${name}`)

/** pnpm. Packages are copied out of its store, which is its cache: an image stands alone. */
export class Pnpm implements PackageTool {
  readonly name = 'pnpm'
  readonly version: string
  readonly reads = ['.npmrc', 'pnpm-workspace.yaml', '.pnpmfile.cjs', '.pnpmfile.mjs', 'patches']
  readonly leaves = ['node_modules']
  readonly replaces = []
  readonly spends = []
  readonly installScripts = ['install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']
  readonly cacheLayer = 'pnpm-store'
  readonly env: Record<string, string>

  constructor(
    private readonly program: ToolProgram,
    readonly lockFile: string,
    /** Whether pnpm-workspace.yaml names packages of the app. */
    readonly mustBeInPlace: boolean,
    private readonly setting: ToolSetting,
  ) {
    this.version = program.version
    this.env = { ...PNPM_ENV, npm_config_user_agent: userAgent('pnpm', program.version) }
  }

  async install(folder: string, withDev: boolean): Promise<Installed> {
    const stdout = await this.#install(folder, withDev ? ['--prod=false'] : ['--prod'])
    return { call: 'pnpm install', packages: pnpmCount(stdout) }
  }

  async prune(folder: string): Promise<void> {
    await this.#install(folder, ['--prod', '--ignore-scripts'])
  }

  async #install(cwd: string, flags: readonly string[]): Promise<string> {
    const { cache, env, registry } = this.setting
    const [program = '', ...words] = this.program.argv
    const fixed = ['--frozen-lockfile', '--package-import-method=copy', '--reporter=append-only']
    const ran = await run(program, [...words, 'install', ...fixed, `--store-dir=${cache}`, ...flags], {
      cwd,
      env: {
        ...env,
        ...this.env,
        ...settings({
          fetch_retries: '2',
          fetch_retry_mintimeout: '1000',
          fetch_retry_maxtimeout: '8000',
          enable_global_virtual_store: 'false',
          ...(registry !== null && { registry }),
        }),
        CI: 'true', // nobody answers questions
        COLUMNS: '500',
        XDG_CACHE_HOME: join(cache, 'metadata'),
      },
    })
    if (ran.exitCode !== 0) {
      process.stdout.write(ran.stdout + ran.stderr)
      throw pnpmFailure('pnpm install', ran.exitCode, `${ran.stdout}\n${ran.stderr}`)
    }
    for (const trace of globSync(TRACES, { cwd })) rmSync(join(cwd, trace), { recursive: true, force: true })
    return ran.stdout
  }
}
