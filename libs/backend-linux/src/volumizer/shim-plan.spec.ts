import { expect, it } from 'vitest'
import { shimArgs } from './shim-plan.js'

it('tells a shim what to mount, platform files first', () => {
  const args = shimArgs({
    handle: 'h',
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
    platformFiles: ['/init', '/hosts', '/resolv'],
    bindMounts: [
      { srcPath: '/a', dstPath: '/x', mode: 'rw', isIdmapped: true },
      { srcPath: '/up', dstPath: '/y', mode: 'rw', lowerPaths: ['/l1', '/l2'], workPath: '/wk' },
    ],
  })
  expect(args.slice(12).join(' ')).toBe(
    'cgroup /cg disk /depot/h/disk.img lower /top lower /base bind 0 ro plain /init bind 1 ro plain /hosts bind 2 ro plain /resolv bind 3 rw idmap /a over 4 /up /wk 2 /l1 /l2',
  )
})
