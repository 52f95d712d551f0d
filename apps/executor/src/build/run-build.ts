import type { BuildResult, BuildSpec } from '@croft/protocol'
import { LifecycleError } from '@croft/lifecycle'
import { buildDockerfile } from '../dockerfile/build-dockerfile.js'
import { BuildLog } from './build-log.js'
import { buildWithBuildpacks } from './build-with-buildpacks.js'
import { blamesPackageLists, canceled, failureOf, LogFull, TimedOut } from './failures.js'
import type { BuildContext, BuildPorts } from './ports.js'
import { rebaseImage } from './rebase-image.js'
import { inFolders, type PreparedBuild, type RunningBuild, type Succeeded } from './running-build.js'

/**
 * Runs one build from source to image. Never throws: what went wrong is in the result. `signal` cancels; in every case the
 * container is gone and the folders are on their way when this returns.
 */
export async function runBuild(
  spec: BuildSpec,
  context: BuildContext,
  ports: BuildPorts,
  signal: AbortSignal,
): Promise<BuildResult> {
  const logger = ports.logger.child({ build: spec.buildId, app: context.appId, instance: context.instanceId })
  const stop = new AbortController()
  const log = new BuildLog({
    send: (text, stop) => ports.controller.log(spec.buildId, text, stop),
    clock: ports.clock,
    logger,
    onFull: () => stop.abort(new LogFull()),
  })
  const onCancel = (): void => stop.abort(signal.reason)
  signal.addEventListener('abort', onCancel, { once: true })
  if (signal.aborted) onCancel()
  ports.clock.sleep(spec.timeoutMs, stop.signal).then(
    () => stop.abort(new TimedOut()),
    () => undefined,
  )
  const startedAt = ports.clock.monotonic()
  try {
    const build: RunningBuild = { spec, context, ports: { ...ports, logger }, log, stop, startedAt }
    const result = spec.isRebase === true ? await rebased(build) : await inFolders(build, imageOf)
    const types = Object.keys(result.processTypes)
    // an image that is no buildpacks' does not say here which processes it has
    context.onImage?.({ image: result.image, types: types.length === 0 ? null : types })
    logger.info('build-finished', { tookMs: Math.round(ports.clock.monotonic() - startedAt), image: result.image })
    return result
  } catch (thrown) {
    if (signal.aborted) return canceled()
    const error: unknown = stop.signal.aborted ? stop.signal.reason : thrown
    const failure = failureOf(error, spec)
    if (blamesPackageLists(failure)) ports.packageLists.outdate(spec.stack)
    if (failure.reason === 'internal' || failure.reason === 'export') logger.error('build-broke', { error })
    else logger.info('build-failed', { reason: failure.reason, why: failure.message, exitCode: exitCodeOf(error) })
    return failure
  } finally {
    signal.removeEventListener('abort', onCancel)
    stop.abort(new Error('the build is over'))
    await log.close()
  }
}

function imageOf(build: PreparedBuild): Promise<Succeeded> {
  const { dockerfile } = build.wishes
  return dockerfile === undefined ? buildWithBuildpacks(build) : buildDockerfile(build, dockerfile)
}

/** No container, no buildpack: two documents are written. */
async function rebased(build: RunningBuild): Promise<Succeeded> {
  const { log } = build
  const { image, newLayers, newBytes } = await rebaseImage(build)
  log.step(newLayers === 0 ? 'The base image is the present one already' : `Rebasing to image ${image.slice(0, 19)}...`)
  return { outcome: 'succeeded', image, processTypes: {}, newLayers, newBytes }
}

/** The exit code the specification gives what went wrong in the lifecycle itself. */
function exitCodeOf(error: unknown): number | undefined {
  return error instanceof LifecycleError ? error.exitCode : undefined
}
