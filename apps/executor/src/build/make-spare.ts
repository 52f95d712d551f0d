import { join } from 'node:path'
import { BUILD_PROPERTY, INSTANCE_PROPERTY, OWNER, OWNER_PROPERTY } from '../instance/ports.js'
import type { Made, SpareContainer, SpareNames, Taken } from '../spare/spare-container.js'
import { giveFolders, makeBuildFolders, writePlatformEnv, type BuildFolders } from './build-folders.js'
import {
  likelyImage,
  originOf,
  restoreSite,
  siteContainer,
  treesOf,
  type BuildSite,
  type SiteImage,
} from './build-site.js'
import { makeContainer } from './make-container.js'
import type { BuildContext } from './ports.js'
import { reachIn, writeReach } from './provide-reach.js'
import type { Restored } from './restore-layers.js'
import { readPrevious } from './running-build.js'
import { isLike, type Likeness } from './spare-likeness.js'

/** A container made in advance for a build. */
export interface MadeSpare extends Made {
  image: SiteImage
  folders: BuildFolders
  restored: ReadonlyMap<string, Restored>
  likeness: Likeness
}
/** One that is kept is made when the node is calm: the deployment of what has just been built goes first. */
export type BuildSpare = SpareContainer<MadeSpare>
export type TakenSpare = Taken<MadeSpare>

/**
 * Makes now what the next build of an app would begin with, when `image` is what the present one gave: folders with what comes back
 * and the container that shows them. Variables and settings of the build are not among it, they come with the build.
 */
export async function makeSpare(
  built: BuildSite,
  image: string,
  names: SpareNames,
  signal: AbortSignal,
): Promise<MadeSpare> {
  const { ports, ground } = built
  const folders = await giveFolders(await makeBuildFolders(ports.paths, names.handle, {}), ground.user)
  try {
    const stop = new AbortController()
    signal.addEventListener('abort', () => stop.abort(signal.reason), { once: true })
    signal.throwIfAborted()
    const reach = reachIn(folders.reach, built.reach)
    const spec = { ...built.spec, isClean: false, previousImage: image }
    const next = { ...built, spec, context: { ...built.context, ...ownNames(names) }, stop, folders, reach }
    const site: BuildSite = { ...next, previous: await readPrevious(next) }
    // a file that is mounted has to be there
    await writeReach(reach, (name) => reach.mounts.some(({ srcPath }) => srcPath === join(reach.folder, name)))
    const origin = await originOf(site)
    const restored = await restoreSite(site, origin)
    const on = await likelyImage(site)
    const container = await siteContainer(site, on, treesOf(restored).values())
    return {
      container: await makeContainer(container, reach, ports, signal),
      image: on,
      folders,
      restored,
      likeness: { appId: built.context.appId, container, netOut: reach.netOut, origin },
    }
  } catch (error) {
    await folders.remove()
    throw error
  }
}

/** The container is nobody's but the spare's own, and a build's all the same. */
function ownNames({ id, handle, address }: SpareNames): Pick<BuildContext, 'handle' | 'address' | 'properties'> {
  const properties = { [OWNER_PROPERTY]: OWNER, [INSTANCE_PROPERTY]: id, [BUILD_PROPERTY]: id }
  return { handle, address, properties }
}

/** The build, moved to a spare when there is one that it would have made itself, word for word. */
export async function takeSpare(site: BuildSite): Promise<{ site: BuildSite; spare: TakenSpare } | null> {
  const { ports, spec, context, wishes, ground } = site
  if (ground.stack === null) return null
  const spare = (await ports.spare?.take(context.appId, site.stop.signal)) ?? null
  if (spare === null) return null
  const moved: BuildSite = {
    ...site,
    folders: spare.folders,
    reach: reachIn(spare.folders.reach, site.reach),
  }
  try {
    const named: BuildSite = { ...moved, context: { ...context, ...ownNames(spare.names) } }
    const [origin, image] = await Promise.all([originOf(site), likelyImage(site)])
    const container = await siteContainer(named, image, treesOf(spare.restored).values())
    const wanted = { appId: context.appId, container, netOut: moved.reach.netOut, origin }
    if (isLike(spare.likeness, wanted)) {
      const [isUsable] = await Promise.all([
        spare.becomes(context.instanceId),
        writePlatformEnv(spare.folders, { ...wishes.env, ...spec.env }),
        writeReach(moved.reach),
      ])
      if (isUsable) return { site: moved, spare }
    } else ports.logger.info('spare-not-like', { handle: spare.names.handle })
  } catch (error) {
    void spare.release()
    throw error
  }
  void spare.release()
  return null
}
