import { readFile } from 'node:fs/promises'
import { isDigest, messageOf } from '@croft/kit'
import type { Image } from '@croft/oci'
import type { BuildResult, BuildSpec, BuildWishes } from '@croft/protocol'
import type { BaseImage } from '../image/base-image.js'
import { valuesOf } from './all-of.js'
import { makeBuildFolders, writePlatformEnv, type BuildFolders } from './build-folders.js'
import type { BuildLog } from './build-log.js'
import { BuildSource } from './build-source.js'
import { BUILDPACKS } from './buildpacks-container.js'
import { readInstalledBuildpacks, type InstalledBuildpacks } from './installed-buildpacks.js'
import type { BuildContext, BuildPorts } from './ports.js'
import { provideReach, type ProvidedReach } from './provide-reach.js'
import { provideStack } from './provide-image.js'

/** A build under way, whatever builds it. */
export interface RunningBuild {
  spec: BuildSpec
  context: BuildContext
  ports: BuildPorts
  log: BuildLog
  /** Ends the build with its reason. */
  stop: AbortController
  /** On the monotonic clock, ms. */
  startedAt: number
}

/** What a build begins with. */
export interface PreparedBuild extends RunningBuild {
  folders: BuildFolders
  wishes: BuildWishes
  /** The run image of the build's stack. */
  base: BaseImage
  /** The platform's own buildpacks. */
  installed: InstalledBuildpacks
  /** The app's newest image; null when there is none, or none that could be read. */
  previous: Image | null
  bootId: string
  reach: ProvidedReach
  source: BuildSource
}

export type Succeeded = Extract<BuildResult, { outcome: 'succeeded' }>

/** Prepares a build, all side by side, and lets `use` run it. Afterwards its folders go, which this does not wait for. */
export async function inFolders<T>(build: RunningBuild, use: (prepared: PreparedBuild) => Promise<T>): Promise<T> {
  const { spec, context, ports, log, stop } = build
  const source = new BuildSource(ports.controller, spec.buildId, stop.signal)
  const [made, ...others] = await Promise.allSettled([
    makeBuildFolders(ports.paths, context.handle, {}),
    provideStack(spec.stack, ports.stacks, { log, clock: ports.clock, signal: stop.signal }),
    readInstalledBuildpacks(ports.paths.buildpacks, BUILDPACKS),
    readPrevious(build),
    ports.controller.wishes(spec.buildId, stop.signal),
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
  ])
  if (made.status === 'rejected') {
    source.close()
    throw made.reason
  }
  const folders = made.value
  try {
    const [base, installed, previous, wishes, bootId] = await valuesOf(others)
    await writePlatformEnv(folders, { ...wishes.env, ...spec.env })
    const reach = await provideReach(folders.reach, ports.paths, wishes.reach)
    return await use({ ...build, folders, wishes, base, installed, previous, bootId: bootId.trim(), reach, source })
  } finally {
    source.close()
    folders.remove().catch((error: unknown) => ports.logger.warn('build-not-removed', { why: messageOf(error) }))
  }
}

/** A build without the image of before only takes longer. */
export async function readPrevious({
  spec,
  context,
  ports,
  stop,
}: Pick<RunningBuild, 'spec' | 'context' | 'ports' | 'stop'>): Promise<Image | null> {
  const { previousImage } = spec
  if (previousImage === null || !isDigest(previousImage)) return null
  try {
    return await ports.images.documents(context.appId, previousImage, stop.signal)
  } catch (error) {
    ports.logger.warn('previous-image-not-read', { image: previousImage, why: messageOf(error) })
    return null
  }
}
