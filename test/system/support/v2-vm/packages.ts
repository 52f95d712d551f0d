import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bareEnv, run } from '@croft/kit'

/** What the virtual machine is made of, unpacked below the cache; nothing of it is installed on the host. */
export interface VmPackages {
  qemu: string
  /** Folders of libraries the host may lack. */
  libraries: string[]
  /** Firmware. */
  data: string[]
  kernel: string
  modules: string
  busybox: string
}

const APT_TIMEOUT_MS = 300_000
const UNPACK_TIMEOUT_MS = 60_000

/** The packages of an earlier call, or null. */
export async function cachedPackages(cacheDir: string): Promise<VmPackages | null> {
  const folder = join(cacheDir, 'v2-vm')
  const kernels = await readdir(join(folder, 'boot')).catch(() => [])
  const kernel = kernels.find((name) => name.startsWith('vmlinuz-'))
  if (kernel === undefined) return null
  return {
    qemu: join(folder, 'usr/bin/qemu-system-x86_64'),
    libraries: ['lib', 'usr/lib'].map((name) => join(folder, name, 'x86_64-linux-gnu')),
    data: ['usr/share/qemu', 'usr/share/seabios', 'usr/lib/ipxe/qemu'].map((name) => join(folder, name)),
    kernel: join(folder, 'boot', kernel),
    modules: join(folder, 'lib/modules', kernel.replace('vmlinuz-', '')),
    busybox: join(folder, 'bin/busybox'),
  }
}

/** Downloads the packages with apt, some 45 MB, and unpacks them into the cache. */
export async function fetchPackages(cacheDir: string): Promise<VmPackages> {
  await mkdir(cacheDir, { recursive: true })
  const work = await mkdtemp(join(cacheDir, '.v2-vm-'))
  try {
    const debs = join(work, 'debs')
    const root = join(work, 'root')
    await mkdir(join(debs, 'partial'), { recursive: true })
    await mkdir(root)
    const env = bareEnv({ DEBIAN_FRONTEND: 'noninteractive' })
    const apt = async (...args: string[]): Promise<string> =>
      (await run(args[0] ?? '', args.slice(1), { timeoutMs: APT_TIMEOUT_MS, env, cwd: debs })).stdout.toString()
    const depends = await apt('apt-cache', 'depends', 'linux-image-cloud-amd64')
    const image = /Depends: (linux-image-\S+)/.exec(depends)?.[1]
    if (image === undefined) throw new Error('apt knows no linux-image-cloud-amd64: run apt-get update')
    const archives = `Dir::Cache::archives=${debs}`
    const install = ['install', '-y', '-q', '--no-install-recommends', '--download-only', '-o', archives]
    await apt('apt-get', ...install, 'qemu-system-x86', 'busybox-static')
    await apt('apt-get', 'download', image)
    for (const name of await readdir(debs)) {
      if (name.endsWith('.deb')) await run('dpkg', ['-x', join(debs, name), root], { timeoutMs: UNPACK_TIMEOUT_MS })
    }
    const folder = join(cacheDir, 'v2-vm')
    await rm(folder, { recursive: true, force: true })
    await rename(root, folder)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  const found = await cachedPackages(cacheDir)
  if (found === null) throw new Error('the packages hold no kernel')
  return found
}
