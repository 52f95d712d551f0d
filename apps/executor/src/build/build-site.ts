import { messageOf } from '@croft/kit'
import { LIFECYCLE_LABEL, parseLifecycleLabel, type BuildCache, type LifecycleLabel } from '@croft/lifecycle'
import { groundOf, type Ground } from '../builder/ground.js'
import { bringsBuildpacks } from '../buildpack/wished-buildpacks.js'
import type { AppCache } from './build-cache.js'
import { buildpacksContainerSpec } from './buildpacks-container.js'
import type { BuildContainerSpec } from './container-shape.js'
import type { InstalledBuildpacks } from './installed-buildpacks.js'
import { restoreLayers, type Restored } from './restore-layers.js'
import type { PreparedBuild } from './running-build.js'

/** What a build with buildpacks begins with, and where it takes place. */
export interface BuildSite extends PreparedBuild {
  ground: Ground
  appCache: AppCache
  /** Whether operators added buildpacks. */
  hasAdded: boolean
}

/** On which image of its ground a container stands: without or with compilers. */
export type SiteImage = 'stack' | 'build'

/** What comes back of former builds is made of this; equal ones come back the same. */
export interface SiteOrigin {
  ground: string
  isClean: boolean
  /** Null: none, or none that could be read. */
  previousImage: string | null
  cache: BuildCache
  /** Every buildpack that may have something to come back. */
  buildpacks: string[]
}

export async function originOf({ spec, ground, previous, installed, appCache }: BuildSite): Promise<SiteOrigin> {
  const label = labelOf({ spec, ground, previous })
  const isClean = isFromScratch({ spec, ground, previous })
  const cache = isClean ? {} : await appCache.read()
  return {
    ground: ground.name,
    isClean,
    previousImage: previous === null ? null : spec.previousImage,
    cache,
    buildpacks: [...idsOf(installed, label, cache)],
  }
}

/** Layers are restored before it is known which buildpacks take part: mounting is all it costs. */
export function restoreSite(site: BuildSite, { cache, buildpacks }: SiteOrigin): Promise<Map<string, Restored>> {
  const { ports, context, stop, folders, previous, appCache } = site
  return restoreLayers({
    group: buildpacks.map((id) => ({ id })),
    appId: context.appId,
    label: labelOf(site),
    previous,
    cache,
    appCache,
    layers: ports.layers,
    images: ports.images,
    folders,
    logger: ports.logger,
    signal: stop.signal,
  })
}

/** Trees that hold restored layers, by `<buildpack folder>/<layer>`. */
export function treesOf(restored: ReadonlyMap<string, Restored>): Map<string, string> {
  return new Map([...restored].flatMap(([key, { tree }]) => (tree === null ? [] : [[key, tree] as const])))
}

/** The image that the build will want, as far as the app's last one tells. */
export async function likelyImage({ ports, context, ground: { stack } }: BuildSite): Promise<SiteImage> {
  const isLikely =
    stack !== null && ports.stacks.neededCompilers(context.appId) && (await ports.stacks.hasCompilers(stack))
  return isLikely ? 'build' : 'stack'
}

/** The container of the site, with these trees below `/layers`. */
export async function siteContainer(
  site: BuildSite,
  image: SiteImage,
  trees: Iterable<string>,
): Promise<BuildContainerSpec> {
  const { ports, spec, context, folders, wishes, reach, ground, hasAdded } = site
  const { stack } = ground
  const hasForeign = bringsBuildpacks(wishes)
  return buildpacksContainerSpec({
    spec,
    context,
    paths: ports.paths,
    folders,
    image: ground.containerImage(image === 'build'),
    ofStack:
      stack === null ? null : { runImage: stack.treePath, packageLists: await ports.packageLists.folder(stack.stack) },
    trees: [...new Set(trees)],
    hasForeign,
    aptConfiguration: stack !== null && (hasForeign || hasAdded) ? await aptConfiguration(site) : null,
    hasAdded,
    reach,
  })
}

/** Buildpacks that are not Croft's may call apt; without it they are told so by apt. */
async function aptConfiguration({ ports, spec, stop }: BuildSite): Promise<string | null> {
  const { packageLists, logger } = ports
  const { stack } = spec
  if ((await packageLists.configuration(stack)) === null) {
    await packageLists.provide(stack, stop.signal).catch((error: unknown) => {
      stop.signal.throwIfAborted()
      logger.warn('package-lists-not-provided', { stack, why: messageOf(error) })
    })
  }
  return packageLists.configuration(stack)
}

type Former = Pick<BuildSite, 'spec' | 'ground' | 'previous'>

/** Also what was made on another release of the distribution: it is bound to its libraries. */
function isFromScratch({ spec, ground, previous }: Former): boolean {
  const former = groundOf(previous?.config.config?.Labels)
  return spec.isClean || (former !== undefined && former !== ground.name)
}

function labelOf(site: Former): LifecycleLabel | null {
  return isFromScratch(site) ? null : parseLifecycleLabel(site.previous?.config.config?.Labels?.[LIFECYCLE_LABEL])
}

/** Every buildpack that may take part and have something to come back: which ones do is not known yet. */
function idsOf(installed: InstalledBuildpacks, label: LifecycleLabel | null, cache: BuildCache): Set<string> {
  return new Set([
    ...installed.buildpacks.map(({ id }) => id),
    ...(label?.buildpacks ?? []).map(({ key }) => key),
    ...Object.keys(cache),
  ])
}
