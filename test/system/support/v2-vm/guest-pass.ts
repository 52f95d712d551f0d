/**
 * One pass through what differs between cgroup versions, run inside the virtual machine as a single bundled file: create, run,
 * a kill for memory, of a sidecar too, a freeze, a change of limits, metrics, destroy. Prints one line of JSON.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { createLinuxBackend, reserveHomeIndex } from '@croft/backend-linux'
import { ContainerPausedError, type Container, type Process } from '@croft/garden-api'
import { silentLogger } from '@croft/kit'

const MIB = 1024 * 1024
const HOME = '/home-under-test'
const sh = (script: string): { path: string; args: string[] } => ({ path: '/bin/sh', args: ['-c', script] })
const hasThrown = async (type: new (...args: never[]) => Error, work: Promise<unknown>): Promise<boolean> =>
  await work.then(
    () => false,
    (error: unknown) => error instanceof type,
  )

const startedMs = performance.now()
await mkdir(HOME, { recursive: true })
const index = await reserveHomeIndex(HOME)
const backend = await createLinuxBackend({
  index,
  depotDir: `${HOME}/containers`,
  runDir: '/run/under-test',
  runcRoot: '/run/under-test-runc',
  shimPath: '/usr/bin/croft-init',
  network: '10.222.0.0/22',
  images: { resolve: async () => ({ lowerPaths: ['/fixture'], env: [] }) },
  logger: silentLogger,
})
await backend.recover()
const capabilities = await backend.capabilities()
const limits = { memory: { limitBytes: 64 * MIB }, pids: { max: 40 }, cpu: { weight: 512 } }
const container: Container = await backend.create({ handle: 'pass', image: { uri: 'raw:///fixture' }, limits })
const end = async (process: Process): Promise<unknown> => {
  const { exitCode, isOutOfMemory } = await process.wait()
  return { exitCode, isOutOfMemory }
}
const ran = await end(await container.run(sh('exit 7')))
const killed = await end(await container.run(sh('x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done')))
/* a sidecar is held by its own limits, and nothing of its container is killed for it */
const hog = sh('x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done')
const own = { image: { uri: 'raw:///fixture' }, limits: { memory: { limitBytes: 32 * MIB } } }
const pea = await end(await container.run({ ...hog, ...own }))
/* a process that was killed by us is no kill for memory */
const shot = await container.run({ ...sh('while :; do :; done'), id: 'shot' })
await shot.signal(9)
const shotEnd = await end(shot)
const busy = await container.run({ ...sh('while :; do :; done'), id: 'busy' })
await backend.pause(['pass'])
const usedNs = async (): Promise<number> => (await container.metrics()).cpu.usageNs
const before = await usedNs()
const isRefused = await hasThrown(ContainerPausedError, container.run(sh('exit 0')))
const isStill = (await usedNs()) === before
await backend.resume(['pass'])
await container.changeLimits({
  memory: { limitBytes: 96 * MIB },
  pids: { max: 0 },
  cpu: { weight: 100, quotaMillis: 200 },
})
const metrics = await container.metrics()
await backend.pause(['pass'])
await backend.destroy('pass')
await busy.wait().catch(() => undefined)
const left = (await readdir(`/sys/fs/cgroup/croft/${index}`, { withFileTypes: true })).filter((entry) =>
  entry.isDirectory(),
)
const mounts = await readFile('/proc/mounts', 'utf8')
await backend.close()
console.log(
  `RESULT ${JSON.stringify({
    capabilities,
    ran,
    killed,
    pea,
    shot: shotEnd,
    isRefused,
    isStill,
    limits: { memory: metrics.memory.limitBytes, pids: metrics.pids },
    left: left.map((entry) => entry.name),
    hasVersion1: mounts.includes(' cgroup '),
    tookMs: Math.round(performance.now() - startedMs),
  })}`,
)
process.exit(0)
