import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BuildFailure, run, say } from '@croft/buildpack-kit'
import type { ToolProgram } from '../tool-program.js'
import { parsePackageJson, type PackageJson } from '../package-json.js'
import { userAgent, type Installed, type ToolSetting, type PackageTool } from '../package-tool.js'
import { workspaceFiles } from './workspace-files.js'
import { resolvedAnew, yarnFailure, yarnMisfit } from '../yarn-messages.js'

/** What every call needs to know, in a build and in the image: packages lie in node_modules, whatever the app says. */
export const YARN_ENV = {
  YARN_NODE_LINKER: 'node-modules',
  YARN_IGNORE_PATH: '1',
  YARN_ENABLE_TELEMETRY: '0',
  YARN_GLOBAL_FOLDER: '/tmp/yarn',
}
const OUTPUT = {
  YARN_ENABLE_COLORS: '0',
  YARN_ENABLE_HYPERLINKS: '0',
  YARN_ENABLE_PROGRESS_BARS: '0',
  YARN_ENABLE_INLINE_BUILDS: '1',
  YARN_HTTP_TIMEOUT: '20000',
}
/** Versions that cannot leave development dependencies out without a plug-in. */
const WITHOUT_FOCUS = /^[23]\./

/** yarn 2 and later. Plug'n'Play is not used: an app starts without yarn in between. */
export class Yarn implements PackageTool {
  readonly name = 'yarn'
  readonly version: string
  readonly reads = ['.yarnrc.yml', '.yarn/plugins', '.yarn/patches']
  readonly leaves = ['node_modules', '.yarn/install-state.gz']
  readonly replaces = ['.pnp.cjs', '.pnp.js', '.pnp.loader.mjs', '.pnp.data.json', '.yarn/unplugged']
  readonly spends = ['.yarn/cache']
  readonly installScripts = ['install', 'postinstall']
  readonly cacheLayer = 'yarn-cache'
  readonly mustBeInPlace = false
  readonly env: Record<string, string>
  readonly #canFocus: boolean

  constructor(
    private readonly program: ToolProgram,
    readonly lockFile: string,
    private readonly app: PackageJson,
    private readonly setting: ToolSetting,
  ) {
    this.version = program.version
    this.#canFocus = !WITHOUT_FOCUS.test(program.version)
    const committed = '.yarn/cache'
    this.env = {
      ...YARN_ENV,
      YARN_ENABLE_GLOBAL_CACHE: 'false',
      YARN_ENABLE_MIRROR: 'false',
      YARN_CACHE_FOLDER: setting.workspace.exists(committed) ? setting.workspace.at(committed) : setting.cache,
      npm_config_user_agent: userAgent('yarn', program.version),
    }
  }

  async install(folder: string, withDev: boolean): Promise<Installed> {
    const hasDev = Object.keys(this.app.devDependencies).length > 0 || this.app.hasWorkspaces
    if (withDev || !hasDev || !this.#canFocus) {
      await this.#run(folder, ['install', '--immutable'])
      if (!withDev && hasDev) this.#sayThatDevStays()
    } else await this.#focus(folder)
    return { call: 'yarn install', packages: null }
  }

  async prune(folder: string): Promise<void> {
    if (!this.#canFocus) return this.#sayThatDevStays()
    const files = ['package.json', ...workspaceFiles(folder, this.app)]
    const texts = files.map((file) => [join(folder, file), readFileSync(join(folder, file), 'utf8')] as const)
    for (const [file, text] of texts) {
      writeFileSync(file, JSON.stringify({ ...parsePackageJson(text).raw, scripts: undefined })) // they ran already
    }
    try {
      await this.#focus(folder)
    } finally {
      for (const [file, text] of texts) writeFileSync(file, text)
    }
  }

  #sayThatDevStays(): void {
    say.warning(`development dependencies stay in the image: yarn ${this.version} cannot leave them out, yarn 4 can`)
  }

  /** Installs without development dependencies. It would resolve what the lock file lacks, but says so. */
  async #focus(folder: string): Promise<void> {
    const stdout = await this.#run(folder, ['workspaces', 'focus', '--all', '--production'])
    const missing = resolvedAnew(stdout)
    if (missing !== null) throw new BuildFailure(...yarnMisfit(missing))
  }

  async #run(cwd: string, args: readonly string[]): Promise<string> {
    const { env, registry } = this.setting
    const [program = '', ...words] = this.program.argv
    const ran = await run(program, [...words, ...args], {
      cwd,
      env: { ...env, ...this.env, ...OUTPUT, ...(registry !== null && fromRegistry(registry)), ...proxies(env) },
    })
    if (ran.exitCode === 0) return ran.stdout
    process.stdout.write(ran.stdout + ran.stderr)
    throw yarnFailure(`yarn ${args[0]}`, ran.exitCode, `${ran.stdout}\n${ran.stderr}`)
  }
}

function fromRegistry(registry: string): Record<string, string> {
  const url = URL.parse(registry)
  return {
    YARN_NPM_REGISTRY_SERVER: registry.replace(/\/+$/, ''),
    ...(url?.protocol === 'http:' && { YARN_UNSAFE_HTTP_WHITELIST: url.hostname }),
  }
}

/** It reads no variables but its own. */
function proxies(env: Record<string, string>): Record<string, string> {
  const http = env['http_proxy'] ?? env['HTTP_PROXY']
  const https = env['https_proxy'] ?? env['HTTPS_PROXY'] ?? http
  return {
    ...(http !== undefined && { YARN_HTTP_PROXY: http }),
    ...(https !== undefined && { YARN_HTTPS_PROXY: https }),
  }
}
