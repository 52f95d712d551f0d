import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { bareEnv, messageOf, run, type Logger } from '@croft/kit'
import type { BuildCache } from '@croft/lifecycle'

const typesSchema = z.object({ build: z.boolean(), cache: z.boolean(), launch: z.boolean() })
const layerSchema = z.object({
  types: typesSchema,
  metadata: z.record(z.string(), z.unknown()).optional(),
  tree: z.uuid(),
  sboms: z.record(z.string(), z.string()).optional(),
})
const recordSchema = z.object({
  bootId: z.string(),
  isSynced: z.boolean(),
  buildpacks: z.record(z.string(), z.record(z.string(), layerSchema)),
})
const TREE = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const APP_ID = /^[0-9a-f-]{36}$/
/** Long enough for the build that wrote the cache to be over. */
const SETTLE_AFTER_MS = 2_000

const turns = new Map<string, Promise<void>>()

export interface AppCacheOptions {
  /** `<node home>/caches`. */
  caches: string
  appId: string
  /** Where the present build makes its trees: they are kept only by `write`. On the file system of `caches`. */
  drafts: string
  bootId: string
  logger: Logger
}

/**
 * What a node keeps of one app between builds: trees `<caches>/<app id>/<uuid>/layers/<buildpack>/<layer>` and the record that
 * names them, replaced whole when a build succeeded. A record of another boot counts only if its trees had been synced. Builds
 * of one app never overlap.
 */
export class AppCache {
  readonly #options: AppCacheOptions
  readonly #folder: string

  constructor(options: AppCacheOptions) {
    if (!APP_ID.test(options.appId)) throw new RangeError(`not an app id: ${options.appId}`)
    this.#options = options
    this.#folder = join(options.caches, options.appId)
  }

  async read(): Promise<BuildCache> {
    try {
      const record = await readRecord(this.#folder)
      if (!record.isSynced && record.bootId !== this.#options.bootId) return {}
      const withMetadata = (layer: z.infer<typeof layerSchema>): BuildCache[string][string] => ({
        ...layer,
        metadata: layer.metadata,
      })
      return mapLayers(record.buildpacks, withMetadata)
    } catch {
      return {} // no cache is a slower build, never a failed one
    }
  }

  /** Where it is kept which commits the app's buildpacks were pinned to. */
  get pinsPath(): string {
    return join(this.#folder, 'buildpacks.json')
  }

  /** Where a kept tree lies. */
  treePath(tree: string): string {
    return join(this.#folder, tree)
  }

  /** An empty folder for a new tree. */
  async draft(): Promise<{ tree: string; path: string }> {
    const tree = randomUUID()
    const path = join(this.#options.drafts, tree)
    await mkdir(path, { recursive: true, mode: 0o755 })
    return { tree, path }
  }

  /** Makes `cache` what the next build gets; trees that it no longer names go. */
  async write(cache: BuildCache): Promise<void> {
    const before = treesOf(await this.read())
    const now = treesOf(cache)
    if (before.size === 0 && now.size === 0) return
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    for (const tree of now) {
      if (!before.has(tree)) await rename(join(this.#options.drafts, tree), this.treePath(tree))
    }
    await this.#inTurn(() => this.#writeRecord(cache, false))
    const dropped = [...before].filter((tree) => !now.has(tree))
    setTimeout(() => void this.#settle(cache, dropped), SETTLE_AFTER_MS).unref()
  }

  /** One writer of an app's record at a time: the end of a build and the settling of the one before it may meet. */
  async #inTurn(task: () => Promise<void>): Promise<void> {
    const before = turns.get(this.#folder) ?? Promise.resolve()
    const mine = before.then(task, task)
    turns.set(this.#folder, mine)
    try {
      await mine
    } finally {
      if (turns.get(this.#folder) === mine) turns.delete(this.#folder)
    }
  }

  async #writeRecord(buildpacks: BuildCache, isSynced: boolean): Promise<void> {
    const path = join(this.#folder, 'cache.json')
    const record = { bootId: this.#options.bootId, isSynced, buildpacks }
    await writeFile(`${path}.new`, JSON.stringify(record), { mode: 0o600 })
    await rename(`${path}.new`, path)
  }

  async #settle(cache: BuildCache, dropped: readonly string[]): Promise<void> {
    try {
      for (const tree of dropped) await rm(this.treePath(tree), { recursive: true, force: true })
      await run('sync', ['--file-system', this.#folder], { timeoutMs: 120_000, env: bareEnv() })
      await this.#inTurn(async () => {
        const isStill = JSON.stringify(await this.read()) === JSON.stringify(cache)
        if (isStill) await this.#writeRecord(cache, true) // else a later build has written
      })
    } catch (error) {
      this.#options.logger.warn('build-cache-not-settled', { why: messageOf(error) })
    }
  }
}

/** Removes trees that no record names: those of a build, or of a removal, in the midst of which an executor died. */
export async function sweepAppCaches(caches: string, logger: Logger): Promise<void> {
  for (const app of await readdir(caches).catch(() => [])) {
    const record = await readRecord(join(caches, app)).catch(() => null)
    const named = record === null ? new Set() : treesOf(record.buildpacks)
    const trees = (await readdir(join(caches, app)).catch(() => [])).filter((name) => TREE.test(name))
    for (const tree of trees.filter((name) => !named.has(name))) {
      rm(join(caches, app, tree), { recursive: true, force: true }).catch((error: unknown) =>
        logger.warn('build-cache-not-swept', { app, why: messageOf(error) }),
      )
    }
  }
}

async function readRecord(folder: string): Promise<z.infer<typeof recordSchema>> {
  return recordSchema.parse(JSON.parse(await readFile(join(folder, 'cache.json'), 'utf8')))
}

function treesOf(cache: Record<string, Record<string, { tree: string }>>): Set<string> {
  return new Set(Object.values(cache).flatMap((layers) => Object.values(layers).map(({ tree }) => tree)))
}

function mapLayers<T, U>(
  buildpacks: Record<string, Record<string, T>>,
  change: (layer: T) => U,
): Record<string, Record<string, U>> {
  const inner = (layers: Record<string, T>): Record<string, U> =>
    Object.fromEntries(Object.entries(layers).map(([name, layer]) => [name, change(layer)]))
  return Object.fromEntries(Object.entries(buildpacks).map(([id, layers]) => [id, inner(layers)]))
}
