import { describe, expect, it } from 'vitest'
import type { ContainerSpec } from '@croft/garden-api'
import { hostnameOf, makeBundle, type BundleInput } from './bundle.js'

const input = (spec: ContainerSpec = {}): BundleInput => ({
  handle: 'h1',
  spec,
  uidBase: 1_000_000,
  cgroupPath: '/croft/3/h1/main',
  stageDir: '/run/croft/stage',
  hostCapabilities: 0x1ff_feff_ffffn,
  hasIpv6: true,
  arch: 'x64',
  maxOpenFiles: 1024,
})

interface Bundle {
  process: {
    terminal: boolean
    noNewPrivileges: boolean
    capabilities: Record<string, string[]>
    rlimits: { hard: number }[]
  }
  mounts: { destination: string; source: string; options: string[] }[]
  linux: {
    namespaces: { type: string; path?: string }[]
    uidMappings: { containerID: number; hostID: number; size: number }[]
    seccomp: { defaultAction: string; syscalls: { names: string[]; action: string; args?: unknown[] }[] }
    sysctl: Record<string, string>
    resources: Record<string, unknown>
    cgroupsPath: string
  }
}
const bundle = (spec?: ContainerSpec): Bundle => makeBundle(input(spec)) as unknown as Bundle

describe('the bundle of a container', () => {
  it("makes every namespace anew and maps no id to one of the host's own users", () => {
    const { linux } = bundle()
    expect(linux.namespaces).toEqual(
      ['pid', 'ipc', 'uts', 'network', 'user', 'mount', 'cgroup'].map((type) => ({ type })),
    )
    expect(linux.uidMappings[0]).toEqual({ containerID: 0, hostID: 1_000_000, size: 65_536 })
    for (const extent of linux.uidMappings) {
      expect(extent.hostID).toBeGreaterThanOrEqual(100_000)
      expect(extent.hostID + extent.size).toBeLessThanOrEqual(2 ** 32 - 1)
    }
    expect(linux.cgroupsPath).toBe('/croft/3/h1/main')
  })

  it("joins a container's namespaces for a sidecar, and sets in them nothing anew", () => {
    const sidecar = makeBundle({ ...input(), sharedWithPid: 77 }) as unknown as Bundle
    expect(sidecar.linux.namespaces).toEqual([
      ...['pid', 'ipc', 'uts'].map((type) => ({ type, path: `/proc/77/ns/${type}` })),
      { type: 'network', path: '/proc/77/ns/net' },
      { type: 'user', path: '/proc/77/ns/user' },
      { type: 'mount' },
      { type: 'cgroup' },
    ])
    expect(Object.keys(sidecar)).not.toContain('hostname')
    expect(Object.keys(sidecar.linux)).not.toContain('sysctl')
    expect(sidecar.linux.seccomp).toEqual(bundle().linux.seccomp)
    expect(sidecar.process.capabilities).toEqual(bundle().process.capabilities)
  })

  it('never has a terminal of its own, and no way to more rights unless asked', () => {
    expect(bundle().process).toMatchObject({ terminal: false, noNewPrivileges: true })
    expect(bundle({ noNewPrivileges: false }).process.noNewPrivileges).toBe(false)
  })

  it('gives the capabilities that the host has, none ambient', () => {
    const { capabilities } = bundle().process
    expect(Object.keys(capabilities).toSorted()).toEqual(['bounding', 'effective', 'inheritable', 'permitted'])
    expect(capabilities['bounding']).toContain('CAP_CHOWN')
    expect(capabilities['bounding']).not.toContain('CAP_SYS_ADMIN')
    const few = makeBundle({ ...input(), hostCapabilities: 1n }) as unknown as Bundle
    expect(few.process.capabilities['bounding']).toEqual(['CAP_CHOWN'])
  })

  it('is, with privileges, in a user namespace still: without cgroups, with mounts, without what reaches the whole kernel', () => {
    const plain = makeBundle(input()) as unknown as Bundle
    const privileged = makeBundle({ ...input(), spec: { isPrivileged: true } }) as unknown as Bundle & {
      linux: { namespaces: { type: string }[]; seccomp: { syscalls: { names: string[]; action: string }[] } }
    }
    expect(plain.mounts.map(({ destination }) => destination)).toContain('/sys/fs/cgroup')
    expect(privileged.mounts.map(({ destination }) => destination)).not.toContain('/sys/fs/cgroup')
    expect(privileged.linux.namespaces.map(({ type }) => type)).toContain('user')
    const allowed = privileged.linux.seccomp.syscalls.flatMap(({ names }) => names)
    expect(allowed).toContain('mount')
    for (const name of [
      'bpf',
      'init_module',
      'kexec_load',
      'keyctl',
      'io_uring_setup',
      'clock_settime',
      'perf_event_open',
    ])
      expect(allowed).not.toContain(name)
  })

  it('mounts what the spec asks before its own files, so that nothing hides those', () => {
    const { mounts } = bundle({
      bindMounts: [
        { srcPath: '/a', dstPath: '/etc', mode: 'rw' },
        { srcPath: '/b', dstPath: '/x', mode: 'ro' },
      ],
    })
    const binds = mounts.filter((mount) => mount.options.includes('bind'))
    expect(binds.map((mount) => mount.destination)).toEqual([
      '/etc',
      '/x',
      '/tmp/garden-init',
      '/etc/hosts',
      '/etc/resolv.conf',
    ])
    expect(binds.map((mount) => mount.source.split('/').at(-1))).toEqual(['3', '4', '0', '1', '2'])
    expect(binds.map((mount) => mount.options.at(-1))).toEqual(['rw', 'ro', 'ro', 'rw', 'rw'])
    expect(binds.every((mount) => mount.options.includes('nosuid') && mount.options.includes('nodev'))).toBe(true)
  })

  it("refuses unknown system calls, new namespaces, and sockets of the hypervisor and the kernel's crypto", () => {
    const { seccomp } = bundle().linux
    const allowed = new Set(
      seccomp.syscalls
        .filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && rule.args === undefined)
        .flatMap((rule) => rule.names),
    )
    expect(seccomp.defaultAction).toBe('SCMP_ACT_ERRNO')
    for (const name of [
      'mount',
      'unshare',
      'setns',
      'bpf',
      'io_uring_setup',
      'keyctl',
      'ptrace',
      'clone',
      'clone3',
      'socket',
      'open_by_handle_at',
      'userfaultfd',
    ]) {
      expect(allowed.has(name), name).toBe(false)
    }
    for (const name of ['execve', 'close_range', 'epoll_pwait2', 'futex', 'signalfd4'])
      expect(allowed.has(name), name).toBe(true)
  })

  it('shows the memory limit inside, and turns IPv6 off where the host has it', () => {
    expect(bundle({ limits: { memory: { limitBytes: 5 } } }).linux.resources).toMatchObject({
      memory: { limit: 5, swap: 5 },
    })
    expect(bundle().linux.resources).not.toHaveProperty('memory')
    expect(bundle().linux.sysctl).toHaveProperty(['net.ipv6.conf.all.disable_ipv6'], '1')
    const without = makeBundle({ ...input(), hasIpv6: false }) as unknown as Bundle
    expect(Object.keys(without.linux.sysctl).some((key) => key.includes('ipv6'))).toBe(false)
  })

  it('names the host by the end of the handle, unless told', () => {
    expect(hostnameOf('a'.repeat(60))).toHaveLength(49)
    expect(hostnameOf('x', 'asked')).toBe('asked')
    expect(hostnameOf(`${'x'.repeat(14)}-${'y'.repeat(48)}`)).toBe('y'.repeat(48))
  })
})
