import { createHash } from 'node:crypto'
import { readdirSync, renameSync, statSync, utimesSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bareEnv, CommandFailed, errnoOf, run } from '@croft/kit'
import { LifecycleError } from '@croft/lifecycle'
import { reachableAddress, type Egress } from './reachable.js'

const FETCH_TIMEOUT_MS = 120_000
const LOCAL_TIMEOUT_MS = 60_000
/** No file of a repository, a pack of history included, may be larger. */
const MAX_FILE_BYTES = 512 * 1024 * 1024
/** So many repositories stay, those used last; of the others those that no build has used for so long, ms, more than any takes. */
const KEPT = 50
const UNUSED_MS = 60 * 60_000
const COMMIT = /^[0-9a-f]{40}([0-9a-f]{24})?$/

export interface GitSourceOptions {
  /** Repositories lie below it, one for each address. */
  folder: string
  egress: readonly Egress[]
  /** Certificates that are trusted; null: the host's. */
  ca: string | null
  proxyEnvironment: Readonly<Record<string, string>>
}

/** How repositories are fetched, where it is not as the host does. */
export type GitAccess = Partial<Pick<GitSourceOptions, 'ca' | 'proxyEnvironment'>> & {
  /** What may be reached besides. */
  letThrough?: readonly Egress[]
}

/** https and nothing else, to where it was said, and nothing that is fetched runs. */
const FETCH_OPTIONS = [
  'protocol.allow=never',
  'protocol.https.allow=always',
  'http.followRedirects=false',
  'fetch.fsckObjects=true',
  'core.hooksPath=/dev/null',
  'gc.auto=0',
  'http.lowSpeedLimit=1000',
  'http.lowSpeedTime=20',
]

/**
 * Buildpacks in git repositories, fetched once and kept on the node while they are used. Nothing of a repository is ever run here.
 */
export class GitSource {
  readonly #options: GitSourceOptions
  readonly #turns: Map<string, Promise<unknown>>

  constructor(options: GitSourceOptions, turns = new Map<string, Promise<unknown>>()) {
    this.#options = options
    this.#turns = turns
  }

  /** The same repositories, fetched through another proxy, with trust in other certificates, or from further hosts. */
  through({ letThrough = [], ...access }: GitAccess): GitSource {
    const egress = [...this.#options.egress, ...letThrough]
    return new GitSource({ ...this.#options, ...access, egress }, this.#turns)
  }

  /** Whether a commit is here, so that no one has to be asked for it. */
  async has(url: string, commit: string): Promise<boolean> {
    return COMMIT.test(commit) && (await this.#git(url, ['cat-file', '-e', `${commit}^{commit}`]).then(isTrue, isFalse))
  }

  /**
   * The commit that `ref` names, fetched; `null` means the HEAD of the repository. A commit that is here is not asked for.
   * @throws LifecycleError when it cannot be had
   */
  async fetch(url: string, ref: string | null, signal: AbortSignal): Promise<string> {
    this.#use(url)
    if (ref !== null && (await this.has(url, ref))) return ref
    return this.#inTurn(url, async () => {
      await this.#make(url)
      const address = await this.#addressOf(url)
      const pinned = address === null ? [] : [`http.curloptResolve=${address}`]
      const options = [...FETCH_OPTIONS, ...pinned].flatMap((option) => ['-c', option])
      const what = ['fetch', '--quiet', '--depth=1', '--no-tags', '--no-recurse-submodules', '--', url, ref ?? 'HEAD']
      try {
        await this.#git(url, [...options, ...what], signal)
      } catch (error) {
        throw notFetched(url, ref, error)
      }
      return (await this.#git(url, ['rev-parse', '--verify', 'FETCH_HEAD^{commit}'])).trim()
    })
  }

  /** Writes the files of a commit that is here into `folder`, which is made. */
  async checkOut(url: string, commit: string, folder: string, signal: AbortSignal): Promise<void> {
    await mkdir(folder, { recursive: true })
    const index = `${folder}.index`
    try {
      const place = { GIT_WORK_TREE: folder, GIT_INDEX_FILE: index }
      await this.#git(url, ['-c', 'core.hooksPath=/dev/null', 'read-tree', commit], signal, place)
      await this.#git(url, ['checkout-index', '--all', '--force', '--quiet'], signal, place)
    } finally {
      await rm(index, { force: true })
    }
  }

  async #make(url: string): Promise<void> {
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 })
    await this.#git(url, ['init', '--quiet', '--bare', '--template='])
    this.#use(url)
    await this.#sweep()
  }

  /** From now on it is not removed for a while. */
  #use(url: string): void {
    const now = Date.now() / 1000
    try {
      utimesSync(this.#placeOf(url), now, now)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }

  #placeOf(url: string): string {
    return join(this.#options.folder, createHash('sha256').update(url).digest('hex'))
  }

  /** The look at a repository and its end are one step, so that none goes that a build has just begun to use. */
  async #sweep(): Promise<void> {
    const { folder } = this.#options
    const used = readdirSync(folder)
      .map((name) => ({
        path: join(folder, name),
        atMs: statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
      }))
      .toSorted((a, b) => b.atMs - a.atMs)
    const isLeft = ({ path }: { path: string }): boolean => path.endsWith('.old')
    const unused = used.filter((one, index) => index >= KEPT && Date.now() - one.atMs > UNUSED_MS && !isLeft(one))
    for (const { path } of unused) renameSync(path, `${path}.old`)
    for (const path of [...used.filter(isLeft).map((one) => one.path), ...unused.map((one) => `${one.path}.old`)]) {
      await rm(path, { recursive: true, force: true })
    }
  }

  /** `host:port:address`, where a name is looked up by this host; null where a proxy does it. */
  async #addressOf(url: string): Promise<string | null> {
    const parsed = new URL(url)
    const isProxied = Object.keys(this.#options.proxyEnvironment).some((name) => /^(https|all)_proxy$/i.test(name))
    if (isProxied) return null
    const address = await reachableAddress(parsed, this.#options.egress)
    return `${parsed.hostname}:${parsed.port === '' ? 443 : parsed.port}:${address.includes(':') ? `[${address}]` : address}`
  }

  async #git(
    url: string,
    args: readonly string[],
    signal?: AbortSignal,
    env: Record<string, string> = {},
  ): Promise<string> {
    const { ca, proxyEnvironment } = this.#options
    const { stdout } = await run('prlimit', [`--fsize=${MAX_FILE_BYTES}`, 'git', ...args], {
      timeoutMs: signal === undefined ? LOCAL_TIMEOUT_MS : FETCH_TIMEOUT_MS,
      ...(signal !== undefined && { signal }),
      env: bareEnv({
        ...proxyEnvironment,
        ...(ca !== null && { GIT_SSL_CAINFO: ca }),
        GIT_DIR: this.#placeOf(url),
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_TERMINAL_PROMPT: '0',
        GIT_ASKPASS: '/bin/false',
        HOME: '/nonexistent',
        LC_ALL: 'C',
        ...env,
      }),
    })
    return stdout.toString('utf8')
  }

  async #inTurn<T>(url: string, task: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(url) ?? Promise.resolve()
    const mine = before.then(task, task)
    this.#turns.set(url, mine)
    try {
      return await mine
    } finally {
      if (this.#turns.get(url) === mine) this.#turns.delete(url)
    }
  }
}

const isTrue = (): boolean => true
const isFalse = (): boolean => false

function notFetched(url: string, ref: string | null, error: unknown): LifecycleError {
  if (error instanceof LifecycleError) return error
  const said = error instanceof CommandFailed ? error.stderr.trim().split('\n').at(-1) : undefined
  const what = ref === null ? url : `${url}#${ref}`
  const title = `the buildpack ${what} could not be fetched: ${(said ?? 'git failed').slice(0, 200)}`
  return new LifecycleError('detect', title, 'correct the address or the ref, or push again later', { cause: error })
}
