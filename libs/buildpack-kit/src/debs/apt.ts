import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, type Ran } from '../run.js'
import { aptFailure, archivesIn, candidatesIn, type Archive } from './apt-output.js'

/** Below here the platform shows the sources, keys, settings and lists of this stack. */
export const PLATFORM_APT = '/cnb/croft/apt'
/** The tree that the app will stand on; the build itself may stand on the build image. */
const RUN_IMAGE = '/cnb/croft/run-image'
export const STATUS = '/var/lib/dpkg/status'

/** A file of the run image. */
export function inRunImage(path: string): string {
  return existsSync(`${RUN_IMAGE}${STATUS}`) ? `${RUN_IMAGE}${path}` : path
}

/**
 * apt as an unprivileged user: its state is a folder of its own, its lists are the platform's, and what the run image has counts as
 * installed. Close it when the archives are no longer needed.
 */
export class PrivateApt {
  readonly #folder: string
  readonly #env: Record<string, string>
  readonly #distribution: string

  constructor(platform: string, temporary: string, env: Record<string, string>, distribution: string) {
    this.#folder = mkdtempSync(join(temporary, 'apt-'))
    this.#distribution = distribution
    for (const folder of ['state', 'cache/archives/partial']) mkdirSync(join(this.#folder, folder), { recursive: true })
    const settings = {
      'Dir::State': join(this.#folder, 'state'),
      'Dir::State::lists': join(platform, 'lists'),
      'Dir::State::status': inRunImage(STATUS),
      'Dir::Cache': join(this.#folder, 'cache'),
      'Dir::Etc::main': join(platform, 'apt.conf'),
      'Dir::Etc::parts': '/dev/null',
      'Dir::Etc::sourcelist': '/dev/null',
      'Dir::Etc::sourceparts': join(platform, 'sources.list.d'),
      'Dir::Etc::trusted': '/dev/null',
      'Dir::Etc::trustedparts': join(platform, 'keys'),
      'Dir::Etc::preferencesparts': '/dev/null',
      'APT::Install-Recommends': 'false',
      'APT::Get::AllowUnauthenticated': 'false',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '2',
      'Debug::NoLocking': 'true', // nobody else has this folder
    }
    const file = join(this.#folder, 'apt.conf')
    const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`)
    writeFileSync(file, lines.join(''))
    this.#env = { ...env, APT_CONFIG: file, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }
  }

  /** What an installation would fetch: everything the run image does not have. @throws BuildFailure */
  async resolve(packages: readonly string[]): Promise<Archive[]> {
    const { stdout } = await this.#install(['--print-uris'], packages)
    return archivesIn(stdout)
  }

  /** Fetches and checks the archives; their paths in the order of their names. @throws BuildFailure */
  async fetch(packages: readonly string[]): Promise<string[]> {
    await this.#install(['--download-only'], packages)
    const folder = join(this.#folder, 'cache/archives')
    return readdirSync(folder)
      .filter((name) => name.endsWith('.deb'))
      .toSorted()
      .map((name) => join(folder, name))
  }

  /** Which of the packages there are, with the versions an installation would take. */
  async candidates(packages: readonly string[]): Promise<Map<string, string>> {
    const ran = await run('apt-cache', ['policy', '--', ...packages], { cwd: this.#folder, env: this.#env })
    if (ran.exitCode !== 0) throw aptFailure(`${ran.stderr}\n${ran.stdout}`, ran.exitCode, this.#distribution)
    return candidatesIn(ran.stdout)
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #install(how: readonly string[], packages: readonly string[]): Promise<Ran> {
    const args = ['--quiet=2', '--yes', '--no-remove', ...how, 'install', '--', ...packages]
    const ran = await run('apt-get', args, { cwd: this.#folder, env: this.#env })
    if (ran.exitCode !== 0) throw aptFailure(`${ran.stderr}\n${ran.stdout}`, ran.exitCode, this.#distribution)
    return ran
  }
}
