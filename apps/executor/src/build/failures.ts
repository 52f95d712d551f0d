import type { BuildResult, BuildSpec } from '@croft/protocol'
import { NotSupportedError } from '@croft/garden-api'
import { CroftError, messageOf } from '@croft/kit'
import { LifecycleError } from '@croft/lifecycle'
import { DockerfileError, OciError, RegistryError } from '@croft/oci'
import { DockerfileFailed } from '../dockerfile/dockerfile-failed.js'
import { StackFailed } from '../stack/stack-tool.js'

/** The memory limit of the build container killed something of the build. */
export class OutOfMemory extends Error {}
/** The build ran longer than it may. */
export class TimedOut extends Error {}
/** The build wrote more than it may. */
export class DiskFull extends Error {}
/** The build had as many processes as it may, and wanted more. */
export class TooManyProcesses extends Error {}
/** The build said more than is kept. */
export class LogFull extends Error {}
/** The pushed tree could not be brought into the build container. */
export class SourceFailed extends Error {}

/** Of what a build says. */
export const MAX_LOG_BYTES = 10 * 1024 * 1024

type Failure = Extract<BuildResult, { outcome: 'failed' }>

const gib = (bytes: number): string => `${Number((bytes / 1024 ** 3).toFixed(1))} GiB`

/** Whether a build failed of package lists older than the archive they are of. Pure. */
export function blamesPackageLists({ message }: Failure): boolean {
  return message.startsWith("Debian's archive did not give ")
}

/** What a build that threw reports: the reason, one line of cause, one of remedy. Pure. */
export function failureOf(error: unknown, spec: Pick<BuildSpec, 'limits' | 'timeoutMs'>): Failure {
  const failed = (reason: Failure['reason'], message: string, suggestion: string): Failure => ({
    outcome: 'failed',
    reason,
    message,
    suggestion,
  })
  if (error instanceof DockerfileFailed || error instanceof DockerfileError)
    return failed('source', error.title, error.suggestion ?? '')
  if (error instanceof LifecycleError) return failed(error.reason, error.title, error.suggestion ?? '')
  if (error instanceof OutOfMemory) {
    const limit = gib(spec.limits.memoryBytes)
    return failed(
      'out-of-memory',
      `the build needed more than its ${limit} of memory`,
      'let fewer build steps run at once, or build less',
    )
  }
  if (error instanceof TimedOut) {
    const minutes = Math.round(spec.timeoutMs / 60_000)
    const limit = minutes > 0 ? `${minutes} min` : `${spec.timeoutMs} ms`
    return failed(
      'timeout',
      `the build took longer than ${limit}`,
      'look at the last lines above for what it was doing',
    )
  }
  if (error instanceof DiskFull) {
    return failed(
      'buildpack',
      `the build wrote more than its ${gib(spec.limits.diskBytes)} of disk`,
      'let the build keep less, or remove large files',
    )
  }
  if (error instanceof TooManyProcesses) {
    return failed(
      'buildpack',
      `the build needed more than its ${spec.limits.pids} processes`,
      'let fewer build steps run at once',
    )
  }
  if (error instanceof LogFull) {
    return failed(
      'buildpack',
      `the build said more than the ${MAX_LOG_BYTES / 1024 ** 2} MiB that are kept of it`,
      'let its steps say less, e.g. --quiet',
    )
  }
  if (error instanceof NotSupportedError) {
    return failed(
      'internal',
      `the containers of this platform cannot run the build: ${error.title}`,
      error.suggestion ?? 'show this to whoever runs the platform: docs/writing-a-backend.md says what builds need',
    )
  }
  if (error instanceof StackFailed) return failed('internal', error.title, error.suggestion ?? '')
  if (error instanceof SourceFailed)
    return failed('source', `the source could not be unpacked: ${error.message}`, 'push again')
  if (error instanceof OciError || error instanceof RegistryError) {
    return failed(
      'export',
      `the image could not be stored: ${error.message}`,
      'push again; if it stays, show this to whoever runs the platform',
    )
  }
  const what = error instanceof CroftError ? error.title : messageOf(error)
  return failed(
    'internal',
    `the build could not be run: ${what}`,
    'push again; if it stays, show this to whoever runs the platform',
  )
}

/** What a build reports that nobody waits for any more. Pure. */
export function canceled(): Failure {
  return { outcome: 'failed', reason: 'interrupted', message: 'the build was canceled', suggestion: 'push again' }
}
