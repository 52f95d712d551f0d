import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  buildShim,
  cleanHome,
  createLinuxBackend,
  releaseHomeIndex,
  reserveHomeIndex,
  type LinuxBackend,
  type LinuxBackendOptions,
} from '@croft/backend-linux'
import type { Capabilities, Container, ContainerSpec, ImageRef, ResolvedImage } from '@croft/garden-api'
import { makeFixtureImages, runToEnd, waitForLog, type FixtureName } from '@croft/garden-api/conformance'
import { run, silentLogger } from '@croft/kit'
import { makeHostRoot } from './host-root.js'
import { makeRigFolder, sweepRigs } from './rig-folders.js'

/** The kernel takes a namespace apart some time after its last process. */
const SETTLE_MS = 2_000

/** A home of this spec's own: index, folders, an address range nobody else has, and a root file system. */
export interface TestHome {
  dir: string
  index: number
  options: LinuxBackendOptions
  open(more?: Partial<LinuxBackendOptions>): Promise<LinuxBackend>
  clean(): Promise<void>
}

/**
 * Shared by all files of a run, which are run one after the other: the root file system, the suite's other images and the compiled
 * shim. The run's end removes it (global-setup.ts).
 */
const shared = `/tmp/croft-rig-${process.env['CROFT_TEST_RUN'] ?? process.pid}-shared`
/** Where making it takes minutes, it comes along. */
export const root = process.env['CROFT_TEST_ROOT'] ?? join(shared, 'root')
const fixtures = await makeShared()
/** Where no compiler is, it comes along. */
export const shimPath = process.env['CROFT_TEST_SHIM'] ?? (await buildShim({ cacheDir: shared }))

async function makeShared(): Promise<Record<FixtureName, ResolvedImage>> {
  const index = join(shared, 'images.json')
  if (!existsSync(index)) {
    await rm(shared, { recursive: true, force: true })
    if (process.env['CROFT_TEST_ROOT'] === undefined) await makeHostRoot(root)
    const images = await makeFixtureImages(join(shared, 'images'), root)
    await writeFile(index, JSON.stringify(images))
  }
  return JSON.parse(await readFile(index, 'utf8')) as Record<FixtureName, ResolvedImage>
}

const foldersOf = (dir: string): Pick<LinuxBackendOptions, 'depotDir' | 'runDir' | 'runcRoot'> => ({
  depotDir: join(dir, 'containers'),
  runDir: join(dir, 'run'),
  runcRoot: join(dir, 'runc'),
})

await sweepRigs() // a machine that this file is run on alone has no global set-up

/** `raw:///dir` is a directory, `fixture:NAME` one of the conformance suite's other images. */
async function resolve(uri: string): Promise<ResolvedImage> {
  if (uri.startsWith('fixture:')) return fixtures[uri.slice('fixture:'.length) as FixtureName]
  return { lowerPaths: [uri.replace('raw://', '')], env: ['IMAGE=yes'] }
}

export async function makeHome(): Promise<TestHome> {
  const dir = await makeRigFolder('backend')
  const index = await reserveHomeIndex(dir)
  const options = {
    index,
    ...foldersOf(dir),
    shimPath,
    network: `10.222.${index * 4}.0/22`,
    images: { resolve },
    logger: silentLogger,
  }
  return {
    dir,
    index,
    options,
    open: async (more = {}) => await createLinuxBackend({ ...options, ...more }),
    clean: async () => {
      await cleanHome(options)
      await releaseHomeIndex(dir)
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** What the backend can do on this host, asked of one that makes nothing. */
export async function capabilitiesHere(): Promise<Capabilities> {
  const home = await makeHome()
  const backend = await home.open()
  try {
    return await backend.capabilities()
  } finally {
    await backend.close()
    await home.clean()
  }
}

export const image: ContainerSpec = { image: { uri: `raw://${root}` } }
export const fixtureImages = Object.fromEntries(
  Object.keys(fixtures).map((name) => [name, { uri: `fixture:${name}` }]),
) as Record<FixtureName, ImageRef>
export const sh = (script: string): { path: string; args: string[] } => ({ path: '/bin/sh', args: ['-c', script] })

/** A shell command that prints what a port says, or why it says nothing. */
export const ask = (target: string): string => {
  const [host, port] = target.split(':')
  const script = `const s = require('net').connect(${port}, '${host}'); s.setTimeout(400, () => { console.log('timeout'); process.exit() });
    s.on('error', (e) => console.log(e.code)); s.pipe(process.stdout)`
  return `node -e "${script}" | tr -d '\\n'`
}

export const ip = async (...args: string[]): Promise<void> => {
  await run('ip', args, { timeoutMs: 5000 })
}

export const output = async (container: Container, script: string, user = 'root'): Promise<string> => {
  const { stdout, stderr } = await runToEnd(container, { ...sh(script), user })
  return stdout.toString() + stderr
}

export const lib = (name: string): string => join(import.meta.dirname, '../../../libs', name, 'dist/index.js')

/** Starts a server on port 8080 in a container that says one thing to everybody. */
export async function listenIn(container: Container, text: string): Promise<void> {
  const script = `require('net').createServer((s) => s.end('${text}')).listen(8080, () => console.log('listening'))`
  const process = await container.run({ path: 'node', args: ['-e', script] })
  await waitForLog(container, process.id, 'listening')
}

/** What still bears the index of a home, beyond its reservation, after the time that files and namespaces take to go. */
export async function leftovers(home: TestHome): Promise<string[]> {
  const end = performance.now() + SETTLE_MS
  for (;;) {
    const found = await markedBy(home)
    if (found.length === 0 || performance.now() > end) return found
  }
}

async function markedBy(home: TestHome): Promise<string[]> {
  const links = (await readdir('/sys/class/net')).filter((name) => name.startsWith(`c${home.index}-`))
  const groups: string[] = []
  for (const controller of await readdir('/sys/fs/cgroup')) {
    const dir = `/sys/fs/cgroup/${controller}/croft/${home.index}`
    for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
      if (entry.isDirectory() && entry.name !== '_shims') groups.push(join(dir, entry.name))
    }
  }
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(home.dir))
  const depots = await readdir(join(home.dir, 'containers')).catch(() => [])
  const sockets = await readdir(join(home.dir, 'run')).catch(() => [])
  const loops = (
    await run('losetup', ['--noheadings', '--list', '--output', 'BACK-FILE'], { timeoutMs: 5000 })
  ).stdout.toString()
  return [
    ...links,
    ...(await rulesLeft(home)),
    ...groups,
    ...mounts,
    ...depots,
    ...sockets,
    ...loops.split('\n').filter((line) => line.includes(home.dir)),
  ]
}

/** What nft has of containers of a home: their addresses, chains and ports. */
export async function rulesLeft(home: TestHome): Promise<string[]> {
  const { nftables } = JSON.parse(
    (await run('nft', ['-j', 'list', 'ruleset'], { timeoutMs: 5000 })).stdout.toString(),
  ) as {
    nftables: Record<string, { table?: string; name?: string; elem?: unknown[] }>[]
  }
  return nftables.flatMap((one) => {
    const { table, name = '', elem = [] } = one['map'] ?? one['set'] ?? one['chain'] ?? {}
    if (table === `croft_${home.index}` && 'chain' in one) return name.startsWith('out_') ? [name] : []
    if (table === `croft_${home.index}` && name !== 'platform_egress')
      return elem.map((it) => `${name} ${JSON.stringify(it)}`)
    if (table !== 'croft_ports') return []
    const ports = elem as [number, number][]
    return ports.flatMap(([port, mark]) => (mark === home.index + 1 ? [`reserved ${port}`] : []))
  })
}

/** The process id of a container's shim. */
export async function shimOf(home: TestHome, handle: string): Promise<number> {
  const state = JSON.parse(await readFile(join(home.dir, 'containers', handle, 'state.json'), 'utf8')) as {
    shim: { pid: number }
  }
  return state.shim.pid
}
