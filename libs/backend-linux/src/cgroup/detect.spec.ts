import { describe, expect, it } from 'vitest'
import { detectCgroups } from './detect.js'

const v1 = (names: string, point: string): string => `30 25 0:26 / ${point} rw,nosuid - cgroup cgroup rw,${names}`

describe('the layout of cgroups', () => {
  it('is version 1 where memory and pids are hierarchies, and knows joint mounts and the empty unified tree', () => {
    const layout = detectCgroups(
      [
        v1('cpu,cpuacct', '/sys/fs/cgroup/cpu,cpuacct'),
        v1('memory', '/sys/fs/cgroup/memory'),
        v1('pids', '/sys/fs/cgroup/pids'),
        v1('xattr,name=systemd', '/sys/fs/cgroup/systemd'),
        '31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
      ].join('\n'),
    )
    expect(layout?.version).toBe(1)
    if (layout?.version !== 1) return
    expect([layout.mounts.get('cpu'), layout.mounts.get('cpuacct')]).toEqual([
      '/sys/fs/cgroup/cpu,cpuacct',
      '/sys/fs/cgroup/cpu,cpuacct',
    ])
    expect([layout.mounts.get('name=systemd'), layout.unified]).toEqual([
      '/sys/fs/cgroup/systemd',
      '/sys/fs/cgroup/unified',
    ])
  })
  it('is version 2 where only the unified tree is mounted', () => {
    expect(detectCgroups('31 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate')).toEqual({
      version: 2,
      root: '/sys/fs/cgroup',
    })
  })
  it('is none where nothing is mounted', () => {
    expect(detectCgroups('22 27 0:21 / /proc rw - proc proc rw\n')).toBeNull()
  })
})
