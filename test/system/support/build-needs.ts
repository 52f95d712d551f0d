import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '@croft/kit'
import { BaseImages } from '../../../apps/executor/src/image/base-image.js'
import { StackImages } from '../../../apps/executor/src/stack/stack-images.js'
import { checkout } from './platform.js'

/** Where set-up keeps what it fetched and made. */
export const CACHE = process.env['CROFT_CACHE'] ?? '/var/cache/croft'

/** What builds need of the host: root, the base image and npm, which set-up makes. */
export function buildNeeds(): string | null {
  if (process.getuid?.() !== 0) return 'root'
  if (!existsSync(join(CACHE, 'base/debian-12/current/image.json'))) return 'the base image (./croft up makes it)'
  return npmFolder() === null ? 'npm in the cache (./croft up fetches it)' : null
}

/** Makes the image with buildah where it is not there yet; null when it is there, else why not. */
export async function makeBuildah(): Promise<string | null> {
  const stacks = new StackImages(
    { folder: join(checkout, 'tools'), cache: CACHE, proxyEnvironment: {} },
    new BaseImages(join(CACHE, 'base')),
  )
  const waiting = { signal: AbortSignal.timeout(240_000), onMaking: () => undefined }
  return stacks.buildah(waiting).then(
    () => null,
    (error: unknown) => `the image with buildah (${messageOf(error)})`,
  )
}

/** The newest npm of the cache, for the apps' builds; null when there is none. */
export function npmFolder(): string | null {
  const folder = join(CACHE, 'npm')
  const version = existsSync(folder) ? readdirSync(folder).find((name) => !name.startsWith('.')) : undefined
  return version === undefined ? null : join(folder, version)
}
