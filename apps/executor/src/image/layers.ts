import { renameSync, rmSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { z } from 'zod'
import { bareEnv, errnoOf, messageOf, parseDigest, run, type Digest, type Logger } from '@croft/kit'
import { descriptorSchema, hexOf, unpackBlob, writeOverlayMarks, type Descriptor } from '@croft/oci'

const recordSchema = z.object({
  /** The boot under which the tree was written. */
  bootId: z.string(),
  /** Whether all of it is on disk: before that it counts only under the same boot. */
  isSynced: z.boolean(),
  /** The blob that holds it in the registry. */
  blob: descriptorSchema,
})

/** Long enough for the build that made a layer to be over. */
const SYNC_AFTER_MS = 2_000
const MAX_GUESSES = 1_000
/** Uses are written down this often, ms. */
const NOTE_USE_EVERY_MS = 60 * 60_000

export interface LayerStoreOptions {
  /** `<node home>/layers`. */
  folder: string
  /** `/proc/sys/kernel/random/boot_id`. */
  bootId: string
  logger: Logger
}

/**
 * The unpacked layers of a node: `<folder>/<hex of diffID>/`, each a tree rooted at `/` with the image's own ids, written once and
 * never changed. A cache: what is missing is pulled again. A tree counts only with its record beside it, so that neither a
 * crash nor a power cut leaves a half-written tree that looks whole.
 */
export class LayerStore {
  readonly #options: LayerStoreOptions
  readonly #present = new Map<string, Descriptor>()
  readonly #likely = new Map<string, Digest>()
  readonly #pulling = new Map<string, Promise<void>>()
  readonly #unsynced = new Set<string>()
  readonly #usedAt = new Map<string, number>()
  readonly #notedAt = new Map<string, number>()
  #serial = 0

  private constructor(options: LayerStoreOptions) {
    this.#options = options
  }

  /** Opens the store and removes what was half-made. */
  static async open(options: LayerStoreOptions): Promise<LayerStore> {
    const store = new LayerStore(options)
    await mkdir(options.folder, { recursive: true, mode: 0o700 })
    await store.#sweep()
    return store
  }

  /** Whether the tree is here. */
  has(diffId: Digest): boolean {
    const hex = hexOf(diffId)
    if (!this.#present.has(hex)) return false
    this.#use(hex)
    return true
  }

  /** The blob of a layer that is here. */
  blobOf(diffId: Digest): Descriptor | undefined {
    return this.has(diffId) ? this.#present.get(hexOf(diffId)) : undefined
  }

  /** The layer that was last made from what `key` describes, if it is here: a guess that its digest has to confirm. */
  likely(key: string): Digest | undefined {
    const diffId = this.#likely.get(key)
    return diffId !== undefined && this.has(diffId) ? diffId : undefined
  }
  expect(key: string, diffId: Digest): void {
    if (this.#likely.size >= MAX_GUESSES) this.#likely.clear()
    this.#likely.set(key, diffId)
  }

  /** Removes a draft that is not needed, in the background. */
  discard(draft: string): void {
    this.#discard(draft)
  }

  /**
   * Removes the trees that are not in `keep` and that nobody asked for within `unusedMs`; how many. From the moment a tree is found
   * to be unused it is not here any more, so that whoever asks meanwhile pulls it anew.
   */
  async collect(keep: ReadonlySet<Digest>, unusedMs: number): Promise<number> {
    let removed = 0
    for (const hex of this.#present.keys()) {
      if (keep.has(parseDigest(`sha256:${hex}`))) continue
      const notedAt = (await stat(this.#recordPath(hex)).catch(() => null))?.mtimeMs ?? 0
      if (Date.now() - Math.max(notedAt, this.#usedAt.get(hex) ?? 0) < unusedMs || !this.#present.has(hex)) continue
      this.#present.delete(hex)
      this.#serial += 1
      const gone = join(this.#options.folder, `.new-${process.pid}-${this.#serial}`)
      rmSync(this.#recordPath(hex), { force: true })
      renameSync(join(this.#options.folder, hex), gone)
      this.#discard(gone)
      removed += 1
    }
    return removed
  }

  /** Where the tree of a layer lies, whether it is there or not. */
  path(diffId: Digest): string {
    return join(this.#options.folder, hexOf(diffId))
  }

  /** A new folder on the store's file system, to make a tree in; `adopt` it or remove it. */
  async draft(): Promise<string> {
    this.#serial += 1
    const folder = join(this.#options.folder, `.new-${process.pid}-${this.#serial}`)
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { mode: 0o755 })
    return folder
  }

  /** Makes a finished tree the layer `diffId`, by rename. One that is there already is kept, and ours removed. */
  async adopt(diffId: Digest, blob: Descriptor, tree: string): Promise<void> {
    const hex = hexOf(diffId)
    if (this.#present.has(hex)) {
      this.#discard(tree)
      return
    }
    const path = join(this.#options.folder, hex)
    await rename(tree, path).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error
      this.#discard(tree) // another build was quicker with the same layer
    })
    await this.#record(hex, blob, false)
    this.#present.set(hex, blob)
    this.#syncSoon(hex)
  }

  /**
   * Unpacks a layer from its blob, verified on the way: the blob against its descriptor, the tar against the diffID. Several
   * callers at once share one pull. @throws OciError, RegistryError
   */
  async pull(diffId: Digest, descriptor: Descriptor, open: () => Promise<Readable>): Promise<void> {
    if (this.has(diffId)) return
    const running = this.#pulling.get(diffId)
    if (running !== undefined) return running
    const pulling = this.#pull(diffId, descriptor, open).finally(() => this.#pulling.delete(diffId))
    this.#pulling.set(diffId, pulling)
    return pulling
  }

  async #pull(diffId: Digest, descriptor: Descriptor, open: () => Promise<Readable>): Promise<void> {
    const tree = await this.draft()
    try {
      await unpackBlob(await open(), { descriptor, diffId }, tree, {
        onMarks: (marks) => writeOverlayMarks(tree, marks),
      })
    } catch (error) {
      this.#discard(tree)
      throw error
    }
    await this.adopt(diffId, descriptor, tree)
  }

  #use(hex: string): void {
    const now = Date.now()
    this.#usedAt.set(hex, now)
    if (now - (this.#notedAt.get(hex) ?? 0) < NOTE_USE_EVERY_MS) return
    this.#notedAt.set(hex, now)
    void utimes(this.#recordPath(hex), now / 1000, now / 1000).catch(() => undefined) // of a layer that has just gone
  }

  #recordPath(hex: string): string {
    return join(this.#options.folder, `${hex}.json`)
  }

  async #record(hex: string, blob: Descriptor, isSynced: boolean): Promise<void> {
    this.#serial += 1
    const fresh = `${this.#recordPath(hex)}.${this.#serial}.new`
    await writeFile(fresh, JSON.stringify({ bootId: this.#options.bootId, isSynced, blob }))
    await rename(fresh, this.#recordPath(hex))
  }

  /** Brings new trees to disk a little later, all with one call: only then do they count after the next boot. */
  #syncSoon(hex: string): void {
    this.#unsynced.add(hex)
    if (this.#unsynced.size === 1) setTimeout(() => void this.#sync(), SYNC_AFTER_MS).unref()
  }

  async #sync(): Promise<void> {
    const trees = [...this.#unsynced]
    this.#unsynced.clear()
    try {
      await run('sync', ['--file-system', this.#options.folder], { timeoutMs: 120_000, env: bareEnv() })
      for (const hex of trees) {
        const blob = this.#present.get(hex)
        if (blob !== undefined) await this.#record(hex, blob, true)
      }
    } catch (error) {
      this.#options.logger.warn('layers-not-synced', { layers: trees.length, why: messageOf(error) })
    }
  }

  #discard(path: string): void {
    rm(path, { recursive: true, force: true }).catch((error: unknown) =>
      this.#options.logger.warn('layer-not-removed', { path, why: messageOf(error) }),
    )
  }

  async #sweep(): Promise<void> {
    const { folder, bootId } = this.#options
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      if (!/^[a-f0-9]{64}$/.test(name)) {
        const isRecord = /^[a-f0-9]{64}\.json$/.test(name)
        if (!isRecord || (await isMissing(join(folder, name.slice(0, 64))))) this.#discard(path)
        continue
      }
      const record = await this.#readRecord(name)
      if (record !== null && (record.isSynced || record.bootId === bootId)) this.#present.set(name, record.blob)
      else this.#discard(path)
    }
  }

  async #readRecord(hex: string): Promise<z.infer<typeof recordSchema> | null> {
    try {
      return recordSchema.parse(JSON.parse(await readFile(this.#recordPath(hex), 'utf8')))
    } catch {
      return null // as good as none: the tree is pulled again
    }
  }
}

async function isMissing(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    () => true,
  )
}
