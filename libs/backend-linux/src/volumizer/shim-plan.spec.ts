import { expect, it } from 'vitest'
import { shimArgs } from './shim-plan.js'

const plan = {
  runcId: 'h',
  folder: '/depot/h',
  socketPath: '/run/0.sock',
  stageDir: '/stage',
  uidBase: 100_000,
  logBytes: 10,
  oomFile: '/oom',
  runcPath: '/runc',
  runcRoot: '/runc-root',
  cgroupDirs: [],
  diskImage: null,
  lowerPaths: ['/top'],
  bindMounts: [],
}

it("tells the shim of a sidecar to join the container's, and to share its files", () => {
  const args = shimArgs({
    ...plan,
    platform: { init: '/init', sharedFrom: '/stage/b' },
    pea: { shimPid: 7, processFolder: '/depot/h/proc', upperPaths: ['/stage/disk/peas', '/stage/disk/peas/1'] },
  })
  expect(args.slice(12).join(' ')).toBe(
    'join 7 proc /depot/h/proc upper /stage/disk/peas upper /stage/disk/peas/1 lower /top bind 0 ro plain /init bind 1 rw plain /stage/b/1 bind 2 rw plain /stage/b/2',
  )
})

it('tells a shim what to mount, platform files first', () => {
  const args = shimArgs({
    runcId: 'h',
    folder: '/depot/h',
    socketPath: '/run/0.sock',
    stageDir: '/stage',
    uidBase: 100_000,
    logBytes: 10,
    oomFile: '/oom',
    runcPath: '/runc',
    runcRoot: '/runc-root',
    cgroupDirs: ['/cg'],
    diskImage: '/depot/h/disk.img',
    lowerPaths: ['/top', '/base'],
    platform: { init: '/init', hosts: '/hosts', resolv: '/resolv' },
    bindMounts: [
      { srcPath: '/a', dstPath: '/x', mode: 'rw', isIdmapped: true },
      { srcPath: '/up', dstPath: '/y', mode: 'rw', lowerPaths: ['/l1', '/l2'], workPath: '/wk' },
    ],
  })
  expect(args.slice(12).join(' ')).toBe(
    'cgroup /cg disk /depot/h/disk.img lower /top lower /base bind 0 ro plain /init copy 1 /hosts copy 2 /resolv bind 3 rw idmap /a over 4 /up /wk 2 /l1 /l2',
  )
})
