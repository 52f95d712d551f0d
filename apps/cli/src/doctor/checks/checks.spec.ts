import { describe, expect, it } from 'vitest'
import { judgeCgroups } from './cgroups.js'
import { judgeCapacity } from './capacity.js'
import { isNewEnough, judgeKernel, type KernelFacts } from './kernel.js'
import { judgeRunc } from './runc.js'

describe('what the checks of a host decide', () => {
  it.each([
    ['6.1.0-18-amd64', true],
    ['5.19.0', true],
    ['5.18.16', false],
    ['5.4.0-150-generic', false],
    ['7.0.0-rc1', true],
  ])('kernel %s is new enough: %s', (release, expected) => {
    expect(isNewEnough(release)).toBe(expected)
  })

  const kernel: KernelFacts = {
    release: '6.1.0-18-amd64',
    filesystems: 'nodev\ttmpfs\n\text4\nnodev\toverlay\n',
    maxUserNamespaces: 15_000,
    status: 'Name:\tnode\nSeccomp:\t0\n',
    namespacesRefused: null,
  }
  it.each<[string, Partial<KernelFacts>, RegExp, RegExp]>([
    ['an old kernel', { release: '5.10.0-28-amd64' }, /5\.10\.0-28-amd64 is too old, 5\.19/, /linux-image/],
    ['no overlay', { filesystems: '\text4\nnodev\toverlayer\n' }, /overlay/, /modprobe overlay/],
    [
      'user namespaces switched off',
      { maxUserNamespaces: 0 },
      /user namespaces/,
      /sysctl -w user\.max_user_namespaces/,
    ],
    ['no seccomp', { status: 'Name:\tnode\n' }, /seccomp/, /kernel/],
    ['namespaces refused', { namespacesRefused: 'unshare failed: EPERM' }, /unshare failed: EPERM/, /virtual machine/],
  ])('%s is named with its remedy', (_what, facts, detail, remedy) => {
    expect(judgeKernel(kernel).status).toBe('ok')
    const finding = judgeKernel({ ...kernel, ...facts })
    expect(finding).toEqual({
      status: 'failed',
      detail: expect.stringMatching(detail) as string,
      remedy: expect.stringMatching(remedy) as string,
    })
  })

  it('cgroup v1 is taken with its controllers mounted, also beside an empty v2 tree', () => {
    const mounts = ['cpu,cpuacct', 'memory', 'pids', 'devices', 'freezer']
      .map((names) => `cgroup /sys/fs/cgroup/${names} cgroup rw,${names} 0 0`)
      .concat('cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0')
      .join('\n')
    expect(judgeCgroups(mounts, '')).toEqual({ version: 1, missing: [] })
    expect(judgeCgroups(mounts.replaceAll('pids', 'rdma'), '')).toEqual({ version: 1, missing: ['pids'] })
  })
  it('cgroup v2 is taken with memory, cpu and pids', () => {
    const mounts = 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0'
    expect(judgeCgroups(mounts, 'cpuset cpu io memory pids\n')).toEqual({ version: 2, missing: [] })
    expect(judgeCgroups(mounts, 'cpuset cpu io pids\n')).toEqual({ version: 2, missing: ['memory'] })
  })

  it('says which limits many containers would reach, and how to raise them', () => {
    const settings = new Map([
      ['kernel.pid_max', 4_194_304],
      ['fs.inotify.max_user_instances', 128],
      ['net.ipv4.neigh.default.gc_thresh3', 1024],
    ])
    expect(judgeCapacity({ settings, maxOpenFiles: 1024 })).toEqual({
      status: 'warning',
      detail:
        'too little for 512 containers: fs.inotify.max_user_instances is 128, net.ipv4.neigh.default.gc_thresh3 is 1024, a process may open 1024 files',
      remedy:
        'sysctl -w fs.inotify.max_user_instances=2048 net.ipv4.neigh.default.gc_thresh3=2048 && ulimit -Hn 4096 (LimitNOFILE= of a systemd unit)',
    })
    expect(judgeCapacity({ settings: new Map(), maxOpenFiles: Infinity }).status).toBe('ok')
  })

  it.each([
    ['1.1.5', 'mitigated'],
    ['1.2.7', 'mitigated'],
    ['1.2.8', 'ok'],
    ['1.3.0', 'ok'],
    ['2.0.0', 'ok'],
    ['0.0.0', 'mitigated'],
  ])('runc %s is %s', (version, status) => {
    expect(judgeRunc(version).status).toBe(status)
  })
})
