import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '@croft/kit'
import type { TestHome } from './backend-rig.js'

const TIMEOUT_MS = 5_000
const SETTLE_MS = 2_000

/**
 * Everything of a home that the host shows, one line for each thing: processes, their namespaces, mounts in any mount
 * namespace, cgroups of every hierarchy, links, routes, nft elements, loop devices, sockets, files. Two looks at a home that
 * are equal say that nothing was left in between, and nothing lost.
 */
export async function tracesOf(home: TestHome): Promise<string[]> {
  const found = await Promise.all([
    processTraces(home),
    cgroupTraces(home),
    linkTraces(home),
    routeTraces(home),
    ruleTraces(home),
    loopTraces(home),
    fileTraces(home),
  ])
  return [...new Set(found.flat())].toSorted()
}

/** As `tracesOf`, once it is as expected or 2 s have passed: the kernel takes a namespace apart some time after its last process. */
export async function settledTraces(home: TestHome, expected: readonly string[]): Promise<string[]> {
  const end = performance.now() + SETTLE_MS
  for (;;) {
    const found = await tracesOf(home)
    if (found.join() === expected.join() || performance.now() > end) return found
  }
}

const orEmpty = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')
const namesIn = (path: string): Promise<string[]> => readdir(path).catch(() => [])
const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts']

const parentOf = (stat: string): number => Number(/\) \S (\d+)/.exec(stat)?.[1])
const isZombie = (stat: string): boolean => /\) [ZX] /.test(stat)

/** Processes, not our own, that work below the home or stand in its cgroups, namespaces they have of their own, mounts of the home. */
async function processTraces(home: TestHome): Promise<string[]> {
  const own = new Set(await Promise.all(NAMESPACES.map(async (name) => await readlink(`/proc/self/ns/${name}`))))
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
  const traces = await Promise.all(
    pids.map(async (pid) => {
      const [command, cgroups, mounts, name, stat] = await Promise.all(
        ['cmdline', 'cgroup', 'mountinfo', 'comm', 'stat'].map(async (file) => await orEmpty(`/proc/${pid}/${file}`)),
      )
      if (isZombie(stat ?? '')) return [] // it has ended; whose child it is has not looked yet
      if (parentOf(stat ?? '') === process.pid) return [] // a tool of the daemon that looks
      const namespaces = await Promise.all(
        NAMESPACES.map(async (space) => await readlink(`/proc/${pid}/ns/${space}`).catch(() => '')),
      )
      /* a depot may be a mount of its own, which every namespace of the host shows */
      const mounted = (mounts ?? '')
        .split('\n')
        .filter((line) => line.includes(home.dir) && line.split(' ')[4] !== join(home.dir, 'containers'))
      const isOurs = (command ?? '').includes(home.dir) || new RegExp(`croft/${home.index}/`).test(cgroups ?? '')
      if (!isOurs && mounted.length === 0) return []
      const others = namespaces.filter((space) => space !== '' && !own.has(space))
      return [
        `process ${pid} ${name?.trim()}`,
        ...others,
        ...mounted.map((line) => `mount ${namespaces[2]} ${line.split(' ')[4]}`),
      ]
    }),
  )
  return traces.flat()
}

async function cgroupTraces(home: TestHome): Promise<string[]> {
  const below = async (dir: string): Promise<string[]> => {
    const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
    /* the home's own for its shims is made for the first container, and stays */
    const dirs = entries.filter((entry) => entry.isDirectory() && entry.name !== '_shims')
    const children = dirs.map((entry) => join(dir, entry.name))
    return [...children, ...(await Promise.all(children.map(below))).flat()]
  }
  const roots = ['/sys/fs/cgroup', ...(await namesIn('/sys/fs/cgroup')).map((name) => join('/sys/fs/cgroup', name))]
  return (await Promise.all(roots.map(async (root) => await below(join(root, 'croft', String(home.index)))))).flat()
}

async function linkTraces(home: TestHome): Promise<string[]> {
  return (await readdir('/sys/class/net')).filter((name) => name.startsWith(`c${home.index}-`))
}

async function routeTraces(home: TestHome): Promise<string[]> {
  const { stdout } = await run('ip', ['-o', '-4', 'route', 'show', 'table', 'all'], { timeoutMs: TIMEOUT_MS })
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line.includes(` c${home.index}-`) || line.includes(` proto ${100 + home.index} `))
    .map((line) => `route ${line.trim()}`)
}

/** Rules, chains and elements of the home's table, without counters. */
async function ruleTraces(home: TestHome): Promise<string[]> {
  const table = ['list', 'table', 'inet', `croft_${home.index}`]
  const { stdout } = await run('nft', ['-s', ...table], { timeoutMs: TIMEOUT_MS }).catch(() => ({ stdout: '' }))
  return stdout
    .toString()
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== '}')
    .map((line) => `nft ${line}`)
}

async function loopTraces(home: TestHome): Promise<string[]> {
  const devices = (await namesIn('/sys/block')).filter((name) => name.startsWith('loop'))
  const files = await Promise.all(devices.map(async (name) => await orEmpty(`/sys/block/${name}/loop/backing_file`)))
  return files.filter((file) => file.includes(home.dir)).map((file) => `loop ${file.trim()}`)
}

/** Entries of the home's folders, two levels deep, and the sockets that somebody listens at. */
async function fileTraces(home: TestHome): Promise<string[]> {
  const top = await namesIn(home.dir)
  const inner = await Promise.all(
    top.map(async (name) => (await namesIn(join(home.dir, name))).map((child) => `file ${name}/${child}`)),
  )
  const lines = (await orEmpty('/proc/net/unix')).split('\n').filter((line) => line.includes(home.dir))
  /* that of the daemon's starter has no file; it would show as a process if it were left */
  const sockets = lines.filter((line) => !/\/run\/s-[0-9a-f]{8}\.sock$/.test(line.trim()))
  return [...inner.flat(), ...sockets.map((line) => `socket ${line.trim().split(/\s+/).at(-1)}`)]
}
