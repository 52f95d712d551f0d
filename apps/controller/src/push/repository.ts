import { randomUUID } from 'node:crypto'
import { access, appendFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { errnoOf, run, type Logger } from '@croft/kit'
import type { ControllerConfig } from '../config.js'
import { CONFIG, LOGGER } from '../tokens.js'
import { gitConfigText } from './git-config.js'
import { FOLDER_REFS, git, isHidden } from './git.js'
import { installHooks } from './hooks.js'

/** Largest pack git takes, bytes. */
export const MAX_PACK_BYTES = 500 * 1024 * 1024
/** A quarantine no receive-pack can still be using, ms. */
const DEAD_QUARANTINE_MS = 60 * 60 * 1_000
const SYNC_TIMEOUT_MS = 60_000

/** A ref that lies in a file of its own and names an object. */
const LOOSE_REF = /^[0-9a-f]{40,64}\n$/
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The bare repositories, one for each app, named by a UUID that never comes from a person. */
@Injectable()
export class Repositories implements OnModuleInit {
  readonly #root: string
  readonly #hooks: string
  readonly #making = new Map<string, Promise<string>>()

  constructor(
    @Inject(CONFIG) config: ControllerConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.#root = `${config.home}/git`
    this.#hooks = `${config.home}/controller/hooks`
  }

  async onModuleInit(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 })
    await installHooks(this.#hooks)
    await this.#ensure(this.#pathOf('empty'))
    await this.#sweep()
  }

  /** Where a repository lies; it may not exist yet. */
  path(repositoryId: string): string {
    if (!UUID.test(repositoryId)) throw new RangeError('not a repository id')
    return this.#pathOf(repositoryId)
  }

  /** An empty repository with the configuration of all others: what an app that does not exist yet advertises. */
  get empty(): string {
    return this.#pathOf('empty')
  }

  /** The repository, made when it is not there. */
  async ensure(repositoryId: string): Promise<string> {
    const path = this.path(repositoryId)
    const making = this.#making.get(path) ?? this.#ensure(path).finally(() => this.#making.delete(path))
    this.#making.set(path, making)
    return making
  }

  async exists(repositoryId: string): Promise<boolean> {
    return access(this.path(repositoryId)).then(
      () => true,
      () => false,
    )
  }

  /** The object a ref names, or undefined. The ref is one that git takes as such. */
  async readRef(repository: string, ref: string): Promise<string | undefined> {
    // one that moved lies in a file of its own; to start git for it would cost every push milliseconds
    const loose = await readFile(`${repository}/${ref}`, 'latin1').catch(() => '')
    if (LOOSE_REF.test(loose)) return loose.trimEnd()
    const out = await git(repository, ['for-each-ref', '--format=%(objectname) %(refname)', ref])
    const line = out.split('\n').find((candidate) => candidate.endsWith(` ${ref}`))
    return line?.slice(0, line.indexOf(' '))
  }

  /**
   * Moves a ref by compare-and-swap. True when the ref has the new value afterwards, also when somebody else moved it there;
   * false when it has any other value.
   */
  async moveRef(repository: string, ref: string, from: string, to: string): Promise<boolean> {
    try {
      await git(repository, ['update-ref', '--end-of-options', ref, to, from])
      return true
    } catch (error) {
      if ((await this.readRef(repository, ref)) === to) return true
      this.logger.warn('ref-not-moved', { repository, ref, from, to, error })
      return false
    }
  }

  /** A repository of its own for objects that may not be wanted: `adopt` them, and in any case `discard` it. */
  async draft(repositoryId: string): Promise<string> {
    const path = `${this.path(repositoryId)}.${randomUUID()}.new`
    await this.#init(path)
    return path
  }

  /** Takes over the packs of a draft, and has a hidden ref name a commit in them. */
  async adopt(repository: string, draft: string, ref: string, commit: string): Promise<void> {
    const packs = `${draft}/objects/pack`
    const names = await readdir(packs)
    // a pack is there once its index is
    for (const end of ['.pack', '.idx']) {
      for (const name of names.filter((one) => one.endsWith(end))) {
        await rename(`${packs}/${name}`, `${repository}/objects/pack/${name}`)
      }
    }
    await git(repository, ['update-ref', '--end-of-options', ref, commit])
  }

  async discard(draft: string): Promise<void> {
    await rm(draft, { recursive: true, force: true })
  }

  /** The hidden refs of folders. */
  async folders(repository: string): Promise<string[]> {
    const listed = await git(repository, ['for-each-ref', '--format=%(refname)', FOLDER_REFS])
    return listed.split('\n').filter((name) => name !== '')
  }

  /** Removes a ref. Its objects stay until the repository is tidied, like those of pushes that came to nothing. */
  async dropRef(repository: string, ref: string): Promise<void> {
    await git(repository, ['update-ref', '-d', '--end-of-options', ref])
  }

  /**
   * After a ref moved: HEAD names the branch that deployed last, so that a clone checks it out, and everything written so far
   * survives a power cut. `isSynced`: what was written before this call does already.
   */
  async settle(repository: string, ref: string, isSynced = false): Promise<void> {
    const head = await readFile(`${repository}/HEAD`, 'utf8').catch(() => '')
    const isHead = isHidden(ref) || head === `ref: ${ref}\n`
    if (!isHead) await git(repository, ['symbolic-ref', 'HEAD', ref])
    if (isSynced && isHead) return
    await run('sync', ['-f', repository], { timeoutMs: SYNC_TIMEOUT_MS })
  }

  #pathOf(name: string): string {
    return `${this.#root}/${name}.git`
  }

  async #ensure(path: string): Promise<string> {
    if (await this.#isComplete(path)) return path
    const temporary = `${path}.new`
    await rm(temporary, { recursive: true, force: true })
    await this.#init(temporary)
    // git itself would have to be started once for each of them
    await appendFile(`${temporary}/config`, gitConfigText(this.#configuration()))
    await rename(temporary, path)
    return path
  }

  async #init(path: string): Promise<void> {
    await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', '--template=', path], {
      env: {
        PATH: '/usr/local/bin:/usr/bin:/bin',
        HOME: '/nonexistent',
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
      },
      timeoutMs: 30_000,
    })
  }

  async #isComplete(path: string): Promise<boolean> {
    return access(`${path}/config`).then(
      () => true,
      () => false,
    )
  }

  #configuration(): [key: string, value: string][] {
    return [
      ['core.hooksPath', this.#hooks],
      ['core.bigFileThreshold', '32m'], // larger blobs are streamed, never held in memory
      ['core.logAllRefUpdates', 'false'],
      ['gc.auto', '0'],
      ['pack.threads', '1'],
      ['pack.windowMemory', '64m'],
      ['receive.advertisePushOptions', 'true'],
      ['receive.advertiseAtomic', 'false'],
      ['receive.autogc', 'false'],
      ['receive.denyDeletes', 'true'],
      ['receive.maxInputSize', String(MAX_PACK_BYTES)],
      ['receive.keepAlive', '0'], // the controller keeps the connection warm itself
      ['transfer.fsckObjects', 'true'],
      // Marks of old tools in honest histories; they harm nothing.
      ...['zeroPaddedFilemode', 'badTimezone', 'missingSpaceBeforeDate', 'missingNameBeforeEmail'].map(
        (id): [string, string] => [`receive.fsck.${id}`, 'ignore'],
      ),
    ]
  }

  /** Removes what pushes that died left behind: half-made repositories and quarantines. */
  async #sweep(): Promise<void> {
    for (const name of await readdir(this.#root)) {
      const path = `${this.#root}/${name}`
      if (name.endsWith('.new')) await rm(path, { recursive: true, force: true })
      else if (name.endsWith('.git')) await this.#sweepQuarantines(`${path}/objects`)
    }
  }

  async #sweepQuarantines(objects: string): Promise<void> {
    try {
      for (const name of await readdir(objects)) {
        if (!name.startsWith('tmp_objdir-incoming-')) continue
        const { mtimeMs } = await stat(`${objects}/${name}`)
        if (Date.now() - mtimeMs > DEAD_QUARANTINE_MS) await rm(`${objects}/${name}`, { recursive: true, force: true })
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
}
