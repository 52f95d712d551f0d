import { describe, expect, it } from 'vitest'
import type { ContainerSpec, ProcessSpec } from '@croft/garden-api'
import { processProblem, specProblem } from './validate.js'

const bind = (over: Partial<NonNullable<ContainerSpec['bindMounts']>[number]>): ContainerSpec => ({
  bindMounts: [{ srcPath: '/src', dstPath: '/dst', mode: 'ro', ...over }],
})

describe('a container spec', () => {
  it.each<[string, ContainerSpec]>([
    ['nothing at all', {}],
    ['a small disk', { limits: { disk: { byteHard: 256 * 1024, scope: 'exclusive' } } }],
    ['limits of 0', { limits: { memory: { limitBytes: 0 }, disk: { byteHard: 0 } } }],
    ['a mount into /etc', bind({ dstPath: '/etc/app' })],
    ['an overlay', bind({ lowerPaths: ['/low'], workPath: '/work' })],
    [
      'rules',
      {
        netOut: [
          { protocol: 'tcp', networks: [{ start: '1.1.1.1', end: '1.1.1.9' }], ports: [{ start: 1, end: 65_535 }] },
        ],
      },
    ],
    ['mapped ports', { netIn: [{ containerPort: 80 }, { hostPort: 8080 }, {}] }],
    ['a bandwidth', { limits: { bandwidth: { rateBytesPerSecond: 1_000_000, burstBytes: 0 } } }],
    ['an empty value', { env: ['A='] }],
  ])('may have %s', (_what, spec) => {
    expect(specProblem(spec)).toBeNull()
  })

  it('may ask for privileges where they are allowed, but then for no bandwidth, which it could undo', () => {
    expect(specProblem({ isPrivileged: true }, true)).toBeNull()
    const limits = { bandwidth: { rateBytesPerSecond: 1000, burstBytes: 0 } }
    expect(specProblem({ isPrivileged: true, limits }, true)).toContain('bandwidth')
  })

  it.each<[string, ContainerSpec]>([
    ['a handle that is a path', { handle: '../x' }],
    ['a privileged container', { isPrivileged: true }],
    ['a port that is none', { netIn: [{ containerPort: 80 }, { hostPort: 65_536 }] }],
    ['more ports than anybody needs', { netIn: Array.from({ length: 257 }, () => ({})) }],
    ['a disk that no file system fits on', { limits: { disk: { byteHard: 200_000, scope: 'exclusive' } } }],
    ['half a byte a second', { limits: { bandwidth: { rateBytesPerSecond: 0.5, burstBytes: 0 } } }],
    ['a mount over /proc', bind({ dstPath: '/proc' })],
    ['a mount below /sys', bind({ dstPath: '/sys/fs/cgroup/' })],
    ['a mount below /dev', bind({ dstPath: '/dev/shm' })],
    ['a mount over the root', bind({ dstPath: '/' })],
    ['a mount over the init', bind({ dstPath: '/tmp/garden-init' })],
    ['a mount out of the way', bind({ dstPath: '/a/../../proc' })],
    ['a relative source', bind({ srcPath: 'etc' })],
    ['lower paths without a work path', bind({ lowerPaths: ['/low'] })],
    ['no lower path', bind({ lowerPaths: [], workPath: '/work' })],
    ['an environment entry without a name', { env: ['=x'] }],
    ['a NUL byte', { env: ['A=\0'] }],
    ['a negative limit', { limits: { pids: { max: -1 } } }],
    ['a limit of half a byte', { limits: { memory: { limitBytes: 0.5 } } }],
    ['an address that is a command', { netOut: [{ protocol: 'tcp', networks: [{ start: '1.1.1.1 } ; drop' }] }] }],
    ['ports of ICMP', { netOut: [{ protocol: 'icmp', ports: [{ start: 1 }] }] }],
    ['ports backwards', { netOut: [{ protocol: 'udp', ports: [{ start: 9, end: 1 }] }] }],
    ['a protocol nobody knows', { netOut: [{ protocol: 'sctp' as 'tcp' }] }],
    ['a host name that is two', { hostname: 'a b' }],
  ])('may not have %s', (_what, spec) => {
    expect(specProblem(spec)).toBeTypeOf('string')
  })
})

describe('a process spec', () => {
  it.each<[string, ProcessSpec]>([
    ['an id that is a path', { path: 'x', id: '../x' }],
    ['an id that hides', { path: 'x', id: '.x' }],
    ['no path', { path: '' }],
    ['a NUL byte', { path: 'x', args: ['a\0b'] }],
    ['an unknown limit', { path: 'x', rlimits: { nonsense: 1 } as ProcessSpec['rlimits'] & object }],
    ['a negative limit', { path: 'x', rlimits: { nofile: -1 } }],
  ])('may not have %s', (_what, spec) => {
    expect(processProblem(spec)).toBeTypeOf('string')
  })
  it('may be plain', () => {
    expect(processProblem({ path: 'x', id: 'web.1', rlimits: { nofile: 10 } })).toBeNull()
  })
})
