import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { bareEnv, isDigest, messageOf, run, type Digest, type Logger } from '@croft/kit'
import { descriptorSchema, type Descriptor } from '@croft/oci'

const recordSchema = z.object({
  /** The boot under which it was written: what a power cut tears nobody can tell from outside. */
  bootId: z.string(),
  bytes: z.number(),
  /** The images that its layers stand on. */
  builtOn: z.array(z.string()),
  /** What layers are called in the registry, by diffID. */
  known: z.record(z.string(), descriptorSchema),
})
type Record = z.infer<typeof recordSchema>

/**
 * Where buildah keeps the files of the containers it runs commands in, secrets among them: not here, but in the root of its own
 * container, which goes with the build. From a mount that forbids set-uid programs it could not mount them read-only either.
 */
const OF_CONTAINERS = '/mnt'
/** Layers whose names in the registry are remembered; each is asked for there by every build. */
const MAX_KNOWN = 500
/** What a cache is called on its way out. */
const GONE = 'dockerfile.gone-'
const APP_ID = /^[0-9a-f-]{36}$/
const DU_TIMEOUT_MS = 60_000

export interface LayerCacheOptions {
  /** `<node home>/caches`. */
  caches: string
  appId: string
  bootId: string
  logger: Logger
}

/**
 * What a node keeps of the Dockerfile builds of one app, `<caches>/<app id>/dockerfile/`: buildah's storage, which only this app's
 * builds see and write, and beside it the record of the layers that are in the registry. Builds of one app never overlap.
 */
export class LayerCache {
  readonly #folder: string
  readonly #options: LayerCacheOptions
  readonly #builtOn: readonly string[]
  readonly #known: Map<Digest, Descriptor>

  private constructor(
    options: LayerCacheOptions,
    folder: string,
    builtOn: readonly string[],
    known: Map<Digest, Descriptor>,
  ) {
    this.#options = options
    this.#folder = folder
    this.#builtOn = builtOn
    this.#known = known
  }

  /**
   * Opens what is there; begins anew when `isClean`, after a boot, when it holds more than `maxBytes`, and when an image that its layers
   * stand on is not among those `builtOn` now: buildah fails over layers without what is below them.
   */
  static async open(
    options: LayerCacheOptions,
    { isClean, maxBytes, builtOn }: { isClean: boolean; maxBytes: number; builtOn: readonly string[] },
  ): Promise<LayerCache> {
    if (!APP_ID.test(options.appId)) throw new RangeError(`not an app id: ${options.appId}`)
    const folder = join(options.caches, options.appId, 'dockerfile')
    const record = await readRecord(folder)
    const isWhole = record !== null && record.bootId === options.bootId && record.bytes <= maxBytes
    const isGood = !isClean && isWhole && record.builtOn.every((image) => builtOn.includes(image))
    if (!isGood) await discard(folder, options.logger)
    await mkdir(join(folder, 'storage'), { recursive: true, mode: 0o700 })
    if (!isGood) await symlink(OF_CONTAINERS, join(folder, 'storage/overlay-containers'))
    const known = isGood ? Object.entries(record.known) : []
    const cache = new LayerCache(
      options,
      folder,
      builtOn,
      new Map(known.filter((entry): entry is [Digest, Descriptor] => isDigest(entry[0]))),
    )
    await cache.#write(isGood ? record.bytes : 0)
    return cache
  }

  /** Buildah's storage. */
  get storage(): string {
    return join(this.#folder, 'storage')
  }
  get known(): ReadonlyMap<Digest, Descriptor> {
    return this.#known
  }

  /** Keeps what was learnt of layers, and how much there is by now. Nothing of the build runs any more. */
  async settle(learnt: Iterable<[Digest, Descriptor]>): Promise<void> {
    for (const [diffId, descriptor] of learnt) {
      this.#known.delete(diffId) // the order is that of the last use
      this.#known.set(diffId, descriptor)
    }
    for (const diffId of [...this.#known.keys()].slice(0, -MAX_KNOWN)) this.#known.delete(diffId)
    try {
      const args = ['--summarize', '--one-file-system', '--block-size=1', '--', this.storage]
      const { stdout } = await run('du', args, { timeoutMs: DU_TIMEOUT_MS, env: bareEnv({ LC_ALL: 'C' }) })
      await this.#write(Number(/^\d+/.exec(stdout.toString())?.[0] ?? 0))
    } catch (error) {
      this.#options.logger.warn('dockerfile-cache-not-settled', { app: this.#options.appId, why: messageOf(error) })
    }
  }

  async #write(bytes: number): Promise<void> {
    const path = join(this.#folder, 'record.json')
    const record: Record = {
      bootId: this.#options.bootId,
      bytes,
      builtOn: [...this.#builtOn],
      known: Object.fromEntries(this.#known),
    }
    await writeFile(`${path}.new`, JSON.stringify(record), { mode: 0o600 })
    await rename(`${path}.new`, path)
  }
}

async function readRecord(folder: string): Promise<Record | null> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(join(folder, 'record.json'), 'utf8')))
  } catch {
    return null // no cache is a slower build, never a failed one
  }
}

/** Removes what an executor that died did not get to remove. */
export async function sweepLayerCaches(caches: string, logger: Logger): Promise<void> {
  for (const app of await readdir(caches).catch(() => [])) {
    const gone = (await readdir(join(caches, app)).catch(() => [])).filter((name) => name.startsWith(GONE))
    for (const name of gone) removeSoon(join(caches, app, name), logger)
  }
}

/** Out of the way at once, gone a little later. */
async function discard(folder: string, logger: Logger): Promise<void> {
  const away = join(dirname(folder), `${GONE}${process.hrtime.bigint()}`)
  await rename(folder, away).catch(() => undefined) // there was none
  removeSoon(away, logger)
}

function removeSoon(folder: string, logger: Logger): void {
  rm(folder, { recursive: true, force: true }).catch((error: unknown) =>
    logger.warn('dockerfile-cache-not-removed', { why: messageOf(error) }),
  )
}
