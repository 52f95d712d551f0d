import { describe, expect, it } from 'vitest'
import { NotSupportedError } from '@croft/garden-api'
import { LifecycleError } from '@croft/lifecycle'
import { RegistryError } from '@croft/oci'
import { DiskFull, failureOf, LogFull, OutOfMemory, SourceFailed, TimedOut, TooManyProcesses } from './failures.js'

const spec = {
  limits: { memoryBytes: 2 * 1024 ** 3, cpuShares: 1000, cpuQuotaMillis: null, pids: 512, diskBytes: 4 * 1024 ** 3 },
  timeoutMs: 900_000,
}

describe('why a build failed', () => {
  it.each<[unknown, string, RegExp]>([
    [new LifecycleError('no-buildpack', 'no buildpack matches', 'try'), 'no-buildpack', /^no buildpack matches$/],
    [new OutOfMemory(), 'out-of-memory', /more than its 2 GiB of memory/],
    [new TimedOut(), 'timeout', /longer than 15 min/],
    [new DiskFull(), 'buildpack', /more than its 4 GiB of disk/],
    [new TooManyProcesses(), 'buildpack', /more than its 512 processes/],
    [new LogFull(), 'buildpack', /more than the 10 MiB/],
    [new SourceFailed('cut off'), 'source', /cut off/],
    [new RegistryError('the registry cannot be reached'), 'export', /the registry cannot be reached/],
    [
      new NotSupportedError('bind_mounts.idmapped'),
      'internal',
      /containers of this platform cannot run the build: bind_mounts\.idmapped is not supported/,
    ],
    [new TypeError('x is undefined'), 'internal', /could not be run: x is undefined/],
  ])('%s is told as %s', (error, reason, message) => {
    const failure = failureOf(error, spec)
    expect(failure.reason).toBe(reason)
    expect(failure.message).toMatch(message)
    expect(failure.message).not.toContain('\n')
    expect(failure.suggestion).not.toBe('')
  })
})
