import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { bareEnv, messageOf, run, type Logger } from '@croft/kit'
import type { BuildCache } from '@croft/lifecycle'

const typesSchema = z.object({ build: z.boolean(), cache: z.boolean(), launch: z.boolean() })
const recordSchema = z.object({
  bootId: z.string(),
  isSynced: z.boolean(),
  buildpacks: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({ types: typesSchema, metadata: z.record(z.string(), z.unknown()).optional(), tree: z.uuid() }),
    ),
  ),
})
const APP_ID = /^[0-9a-f-]{36}$/

/**
 * What a node keeps of one app between builds: trees below `<caches>/<app id>/<uuid>/layers/<buildpack>/<layer>` and the record
 * that names them, replaced whole when a build succeeded. A record of another boot counts only if its trees had been synced.
 */
export class AppCache {
  readonly #folder: string
  readonly #bootId: string
  readonly #logger: Logger

  constructor(caches: string, appId: string, bootId: string, logger: Logger) {
    if (!APP_ID.test(appId)) throw new RangeError(`not an app id: ${appId}`)
    this.#folder = join(caches, appId)
    this.#bootId = bootId
    this.#logger = logger
  }

  async read(): Promise<BuildCache> {
    try {
      const record = recordSchema.parse(JSON.parse(await readFile(join(this.#folder, 'cache.json'), 'utf8')))
      if (!record.isSynced && record.bootId !== this.#bootId) return {}
      return Object.fromEntries(
        Object.entries(record.buildpacks).map(([id, layers]) => [
          id,
          Object.fromEntries(
            Object.entries(layers).map(([name, layer]) => [name, { ...layer, metadata: layer.metadata }]),
          ),
        ]),
      )
    } catch {
      return {} // no cache is a slower build, never a failed one
    }
  }

  /** Where a kept tree lies. */
  treePath(tree: string): string {
    return join(this.#folder, tree)
  }

  /** An empty folder for a new tree. */
  async draft(): Promise<{ tree: string; path: string }> {
    const tree = randomUUID()
    const path = join(this.#folder, tree)
    await mkdir(path, { recursive: true, mode: 0o755 })
    return { tree, path }
  }

  /** Makes `cache` what the next build gets, and removes every tree it does not name. */
  async write(cache: BuildCache): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    await this.#writeRecord(cache, false)
    void this.#settle(cache)
  }

  async #writeRecord(buildpacks: BuildCache, isSynced: boolean): Promise<void> {
    const path = join(this.#folder, 'cache.json')
    await writeFile(`${path}.new`, JSON.stringify({ bootId: this.#bootId, isSynced, buildpacks }), { mode: 0o600 })
    await rename(`${path}.new`, path)
  }

  async #settle(cache: BuildCache): Promise<void> {
    const kept = new Set(Object.values(cache).flatMap((layers) => Object.values(layers).map(({ tree }) => tree)))
    try {
      for (const name of await readdir(this.#folder)) {
        if (!kept.has(name) && !name.startsWith('cache.json'))
          await rm(join(this.#folder, name), { recursive: true, force: true })
      }
      await run('sync', ['--file-system', this.#folder], { timeoutMs: 120_000, env: bareEnv() })
      if (JSON.stringify(await this.read()) === JSON.stringify(cache)) await this.#writeRecord(cache, true)
    } catch (error) {
      this.#logger.warn('build-cache-not-settled', { why: messageOf(error) })
    }
  }
}
