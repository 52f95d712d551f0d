import { mkdir, readFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import type { Container, ContainerSpec, ProcessExit } from '@croft/garden-api'
import { runToEnd, tarOf } from '@croft/garden-api/conformance'
import { run } from '@croft/kit'
import { ask, listenIn, makeHome, output, root, sh, type TestHome } from './support/backend-rig.js'

/**
 * What somebody who has become root in a container, or brought a hostile image, may try. Each attempt and what stops it is a row
 * of SECURITY.md; the last spec here keeps that table and this file the same.
 */

const SOURCE = join(import.meta.dirname, 'support/escape-probe.c')
const MIB = 1024 * 1024
const limits = {
  memory: { limitBytes: 128 * MIB },
  pids: { max: 64 },
  disk: { byteHard: 16 * MIB, inodeHard: 4096, scope: 'exclusive' as const },
}

let home: TestHome
let backend: LinuxBackend
let prisoner: Container
let neighbour: Container
/** A program of root with the setuid bit lies in this layer. */
let layer: string

const spec = (more: ContainerSpec): ContainerSpec => ({
  image: { uri: `raw://${layer},${root}` },
  bindMounts: [{ srcPath: join(home.dir, 'probe'), dstPath: '/probe', mode: 'ro' }],
  ...more,
})

beforeAll(async () => {
  home = await makeHome()
  layer = join(home.dir, 'layer')
  for (const dir of ['probe', 'layer/usr/bin', 'layer/mnt']) await mkdir(join(home.dir, dir), { recursive: true })
  const probe = join(home.dir, 'probe/escape-probe')
  await run('gcc', ['-O1', '-static', '-Wall', '-Wextra', '-Werror', '-o', probe, SOURCE], { timeoutMs: 60_000 })
  await run('install', ['-m', '4755', '-o', '0', '-g', '0', probe, join(layer, 'usr/bin/setuid-probe')], {
    timeoutMs: 5000,
  })
  const images = { resolve: async (uri: string) => ({ lowerPaths: uri.slice('raw://'.length).split(','), env: [] }) }
  backend = await home.open({ images })
  await backend.recover()
  prisoner = await backend.create(spec({ handle: 'prisoner', limits }))
  neighbour = await backend.create(spec({ handle: 'neighbour' }))
  await listenIn(neighbour, 'secret')
})
afterAll(async () => {
  await backend.close()
  await home.clean()
})

async function attempt(name: string, ...args: string[]): Promise<{ answer: string; exit: ProcessExit }> {
  const { stdout, stderr, exit } = await runToEnd(prisoner, { path: '/probe/escape-probe', args: [name, ...args] })
  return { answer: (stdout.toString() + stderr).trim(), exit }
}

/** Attempt, what the probe calls it, and what stops it. */
const REFUSED: readonly (readonly [title: string, probe: string, stoppedBy: string])[] = [
  ['mounting a file system', 'mount', 'seccomp; no CAP_SYS_ADMIN'],
  ['mounting a fresh /proc without masks', 'mount-proc', 'seccomp; no CAP_SYS_ADMIN'],
  ['remounting /proc/sys writable', 'remount-proc-sys', 'seccomp; no CAP_SYS_ADMIN'],
  ['bind-mounting over a path', 'bind', 'seccomp; no CAP_SYS_ADMIN'],
  ['unmounting a mask', 'unmask', 'seccomp; no CAP_SYS_ADMIN'],
  ['the newer mount calls (fsopen, open_tree)', 'new-mount-calls', 'seccomp'],
  ['pivot_root', 'pivot-root', 'seccomp'],
  ['leaving a chroot by climbing', 'out-of-root', "the container's root is the root of its mount namespace"],
  ['a nested user namespace', 'user-namespace', 'seccomp'],
  ['a nested mount namespace', 'mount-namespace', 'seccomp'],
  ['a nested network namespace', 'network-namespace', 'seccomp'],
  ['a nested namespace by clone', 'clone-namespace', 'seccomp, by its flags'],
  ['a nested namespace by clone3', 'clone3-namespace', 'seccomp: ENOSYS, its flags cannot be read'],
  ['joining a namespace (setns)', 'join-namespace', 'seccomp; the first process cannot be inspected'],
  ['tracing the first process', 'ptrace', 'seccomp; it is not dumpable'],
  ['writing the first process’s memory', 'init-memory', 'it is not dumpable'],
  ['reading the first process’s memory', 'init-read', 'seccomp; it is not dumpable'],
  ['the first process’s descriptors', 'init-descriptors', 'it is not dumpable'],
  ['the first process’s root', 'init-root', 'it is not dumpable'],
  ['overwriting the first process’s program', 'init-program', 'a read-only bind mount of a file of the host’s root'],
  ['killing the first process', 'kill-init', 'the kernel: signals from inside do not reach a pid namespace’s init'],
  ['the core pattern', 'core-pattern', '/proc/sys is read-only; host root is not mapped'],
  ['kernel settings (ip_forward)', 'ip-forward', '/proc/sys is read-only'],
  ['the module loader’s path', 'modprobe-path', '/proc/sys is read-only; host root is not mapped'],
  ['a binary format of its own', 'binfmt', 'not mounted; /proc/sys is read-only'],
  ['the magic SysRq key', 'sysrq', 'the path is read-only; host root is not mapped'],
  ['the uevent helper', 'uevent-helper', '/sys is read-only; host root is not mapped'],
  ['settings in /sys', 'sys-write', '/sys is read-only; host root is not mapped'],
  ['firmware tables', 'sys-firmware', 'the path is masked'],
  [
    'a cgroup’s release agent',
    'release-agent',
    'cgroups are read-only, in a cgroup namespace; host root is not mapped',
  ],
  ['making or loosening a cgroup', 'cgroup-write', 'cgroups are read-only; the limits stand in a cgroup above'],
  ['the kernel log by syslog', 'kernel-log', 'seccomp'],
  ['the kernel log by /dev/kmsg', 'kmsg', 'no such device'],
  ['the kernel’s memory by /proc/kcore', 'kcore', 'the path is masked'],
  ['memory by /dev/mem', 'dev-mem', 'no such device'],
  ['a block device node', 'block-device', 'user namespace: mknod of devices is the host’s'],
  ['a character device node', 'char-device', 'user namespace: mknod of devices is the host’s'],
  ['loading a BPF program or map', 'bpf', 'seccomp'],
  ['performance events', 'perf', 'seccomp'],
  ['io_uring', 'io-uring', 'seccomp'],
  ['kernel keyrings', 'keyring', 'seccomp'],
  ['userfaultfd', 'userfaultfd', 'seccomp'],
  ['loading a kernel module', 'module', 'seccomp; no CAP_SYS_MODULE'],
  ['kexec', 'kexec', 'seccomp; no CAP_SYS_BOOT'],
  ['reboot', 'reboot', 'seccomp; no CAP_SYS_BOOT'],
  ['setting the clock', 'set-clock', 'seccomp; no CAP_SYS_TIME'],
  ['swap', 'swap', 'seccomp; no CAP_SYS_ADMIN'],
  ['opening a file by handle', 'by-handle', 'seccomp; no CAP_DAC_READ_SEARCH'],
  ['I/O ports', 'io-ports', 'seccomp; no CAP_SYS_RAWIO'],
  ['process accounting', 'accounting', 'seccomp; no CAP_SYS_PACCT'],
  ['disk quotas of the host', 'quota', 'seccomp; no CAP_SYS_ADMIN'],
  ['watching all files (fanotify)', 'fanotify', 'seccomp'],
  ['sockets of the hypervisor (AF_VSOCK)', 'vsock', 'seccomp, by the domain'],
  ['sockets of the kernel’s crypto (AF_ALG)', 'kernel-crypto', 'seccomp, by the domain'],
  ['renaming the host', 'host-name', 'seccomp; no CAP_SYS_ADMIN'],
  ['a better priority', 'priority', 'no CAP_SYS_NICE'],
  ['more open files than allowed', 'more-files', 'no CAP_SYS_RESOURCE'],
  ['filling /dev/shm', 'shared-memory', 'the size of its tmpfs; the memory limit'],
  ['filling the disk', 'disk', 'the container’s own file system of the asked size'],
  ['using up inodes', 'inodes', 'the container’s own file system of the asked number'],
]

describe('root in a container', () => {
  it.each(REFUSED)('is refused %s', async (_title, probe) => {
    const { answer } = await attempt(probe)
    expect(answer).toMatch(/^E[A-Z0-9]+$/)
  })
})

/** What is refused to root in a container that its operator allowed privileges, too: all that is not its own namespaces'. */
const REFUSED_ALWAYS =
  'core-pattern modprobe-path binfmt sysrq uevent-helper sys-firmware release-agent kmsg dev-mem block-device char-device bpf perf io-uring ' +
  'keyring userfaultfd module kexec reboot set-clock swap by-handle io-ports accounting quota vsock kernel-crypto kernel-log disk'

describe('root in a container with privileges', () => {
  let privileged: Container
  let allowing: LinuxBackend
  let other: TestHome
  beforeAll(async () => {
    other = await makeHome()
    allowing = await other.open({ allowPrivileged: true })
    await allowing.recover()
    privileged = await allowing.create({
      image: { uri: `raw://${root}` },
      bindMounts: [{ srcPath: join(home.dir, 'probe'), dstPath: '/probe', mode: 'ro' }],
      isPrivileged: true,
      noNewPrivileges: false,
      limits,
    })
  })
  afterAll(async () => {
    await allowing.close()
    await other.clean()
  })

  it('may mount and make namespaces, of its own', async () => {
    expect(await output(privileged, 'mkdir -p /mnt; mount -t tmpfs none /mnt && echo mounted')).toBe('mounted\n')
    expect(await output(privileged, 'unshare --net true && echo made')).toBe('made\n')
  })
  it.each(REFUSED_ALWAYS.split(' '))('is refused %s', async (probe) => {
    const { stdout } = await runToEnd(privileged, { path: '/probe/escape-probe', args: [probe] })
    expect(stdout.toString()).toMatch(/^E[A-Z0-9]+\n$/)
  })
  it('is nobody on the host', async () => {
    const process = await privileged.run({ ...sh('exec sleep 1000'), id: 'sleeper' })
    const pid = (await privileged.processes()).find(({ id }) => id === 'sleeper')?.pid
    expect(await readFile(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:\s+[1-9]\d{5,}/m)
    await process.signal(9)
  })
})

/** Attempts whose end is looked at from outside. */
const CONTAINED: readonly (readonly [title: string, stoppedBy: string, look: () => Promise<void>])[] = [
  [
    'an address of its own choice',
    'no CAP_NET_ADMIN',
    async () => expect((await attempt('own-address', (await neighbour.info()).containerIp)).answer).toBe('EPERM'),
  ],
  [
    'packets with a forged sender',
    'nft drops what does not come from the address of its link',
    async () => {
      const heard: string[] = []
      const listener = createSocket('udp4', (_message, from) => heard.push(from.address))
      listener.bind(0, '0.0.0.0')
      await once(listener, 'listening')
      const { hostIp } = await prisoner.info()
      /* the kernel takes it, and nobody gets it; another one that is allowed shows that the line works */
      await attempt('forged', hostIp, String(listener.address().port), (await neighbour.info()).containerIp)
      await attempt('forged', (await neighbour.info()).containerIp, '4243', '1.2.3.4')
      listener.close()
      expect(heard).toEqual([])
    },
  ],
  [
    'claiming a neighbour’s address by ARP',
    'routed links: no two containers share a layer 2',
    async () => {
      const { containerIp } = await neighbour.info()
      await attempt('arp', containerIp)
      expect(await reach(containerIp, 8080)).toBe('secret')
    },
  ],
  [
    'ports on the host’s loopback',
    'a network namespace; nft drops 127.0.0.0/8 from containers',
    async () => {
      await withHostServer('127.0.0.1', async (port) => {
        const { hostIp } = await prisoner.info()
        for (const host of ['127.0.0.1', hostIp])
          expect(await output(prisoner, ask(`${host}:${port}`)), host).toMatch(/^(timeout|E[A-Z]+)$/)
      })
    },
  ],
  [
    'ports on the host’s other addresses',
    'nft: everything to the host is dropped but DNS; rules of a container never open them',
    async () => {
      await withHostServer('0.0.0.0', async (port) => {
        const { hostIp } = await prisoner.info()
        expect(await output(prisoner, ask(`${hostIp}:${port}`))).toMatch(/^(timeout|E[A-Z]+)$/)
      })
    },
  ],
  [
    'link-local addresses (a cloud’s metadata)',
    'nft drops private and link-local ranges',
    async () => expect(await output(prisoner, ask('169.254.169.254:80'))).toMatch(/^(timeout|E[A-Z]+)$/),
  ],
  [
    'a neighbour’s ports',
    'nft drops what goes from container to container but through a mapped port of the host; rules of a container never open it',
    async () => {
      const { containerIp } = await neighbour.info()
      expect(await output(prisoner, ask(`${containerIp}:8080`))).toMatch(/^(timeout|E[A-Z]+)$/)
      expect(await output(neighbour, ask('127.0.0.1:8080'))).toBe('secret')
    },
  ],
  [
    'a neighbour’s processes and abstract sockets',
    'pid, IPC and network namespaces of its own',
    async () => {
      await neighbour.run({ ...sh('exec sleep 424242'), id: 'seen' })
      expect(await output(prisoner, 'cat /proc/[0-9]*/cmdline')).not.toContain('424242')
      expect(await output(prisoner, 'cat /proc/net/unix | wc -l')).toBe('1\n')
    },
  ],
  [
    'a fork bomb',
    'the process limit of the container’s cgroup',
    async () => {
      expect((await attempt('forks')).answer).toBe('EAGAIN')
      expect(await output(neighbour, 'echo fine')).toBe('fine\n')
      await prisoner.stop({ kill: true })
      expect(await output(prisoner, 'echo again')).toBe('again\n')
    },
  ],
  [
    'taking all memory',
    'the memory limit of the container’s cgroup; swap counts',
    async () => {
      const { exit } = await attempt('memory')
      expect(exit).toMatchObject({ exitCode: 137, isOutOfMemory: true })
      expect(await output(neighbour, 'echo fine')).toBe('fine\n')
    },
  ],
  [
    'a setuid program from a layer',
    'no_new_privs; and root inside is nobody outside',
    async () => {
      const { stdout } = await runToEnd(prisoner, { path: 'setuid-probe', args: ['become-root'], user: 'alice' })
      expect(stdout.toString()).toBe('EPERM\n')
    },
  ],
  [
    'an image whose masked paths are links',
    'masks and mounts are made on the mounted /proc and /sys; what runc would follow is checked before',
    async () => await withHostileImage('rm -rf proc sys; ln -s /etc proc; ln -s ../../../etc sys'),
  ],
  [
    'an image whose console is a link',
    'no terminal is ever bound: /dev is a fresh tmpfs and ptys are opened inside',
    async () =>
      await withHostileImage('mkdir -p dev; ln -s /proc/sysrq-trigger dev/console; ln -s /etc/shadow dev/null'),
  ],
  [
    'a link in an upload that leads out of the root',
    'files are unpacked inside the container’s own mounts, as the user',
    async () => {
      await output(neighbour, 'ln -sfn ../../../../../../etc /tmp/out')
      await neighbour.streamIn({ user: 'root', path: '/tmp/out', tar: tarOf({ 'croft-escaped': 'x' }) })
      expect(await output(neighbour, 'cat /etc/croft-escaped')).toBe('x')
      await expect(readFile('/etc/croft-escaped')).rejects.toThrow('ENOENT')
    },
  ],
]

async function withHostServer(address: string, use: (port: number) => Promise<void>): Promise<void> {
  const server: Server = createServer((socket) => socket.end('secret'))
  server.listen(0, address)
  await once(server, 'listening')
  try {
    await use((server.address() as AddressInfo).port)
  } finally {
    server.close()
  }
}

async function reach(host: string, port: number): Promise<string> {
  const socket = connect(port, host)
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

/** A container of an image made hostile by a script either does not come to be or sees nothing of the host. */
async function withHostileImage(script: string): Promise<void> {
  const evil = join(home.dir, 'evil')
  const make = `rm -rf "$2" && cp -a "$1" "$2" && cd "$2" && rm usr/bin/node && ${script}`
  await run('sh', ['-c', make, 'sh', root, evil], { timeoutMs: 20_000 })
  const hashes = async (): Promise<string> =>
    (await run('cksum', ['/etc/passwd', '/etc/shadow', '/etc/resolv.conf'], { timeoutMs: 5000 })).stdout.toString()
  const before = await hashes()
  const container = await backend.create({ image: { uri: `raw://${evil}` }, handle: 'evil' }).catch(() => null)
  if (container !== null)
    expect(await output(container, 'cat /etc/shadow /proc/shadow /dev/console 2>/dev/null; echo x > /dev/null')).toBe(
      '',
    )
  await backend.destroy('evil', { ifExists: true })
  expect(await hashes()).toBe(before)
}

describe('somebody in a container', () => {
  it.each(CONTAINED)('gains nothing by %s', async (_title, _stoppedBy, look) => {
    await look()
  })
})

describe('SECURITY.md', () => {
  it('lists every attempt made here with what stops it, and no other', async () => {
    const text = await readFile(join(import.meta.dirname, '../../SECURITY.md'), 'utf8')
    const rows = [...text.matchAll(/^\| (.+?) \| (.+?) \|$/gm)].map(([, title, by]) => `${title}: ${by}`)
    const made = [
      ...REFUSED.map(([title, , by]) => `${title}: ${by}`),
      ...CONTAINED.map(([title, by]) => `${title}: ${by}`),
    ]
    expect(rows.filter((row) => !/^(attempt: |-)/.test(row))).toEqual(made)
  })
})
