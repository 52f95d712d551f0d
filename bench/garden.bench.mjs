// The README's claims on the container API: what a call costs through HTTP, and what an idle container takes. Another Garden
// server is measured in the same run, by the same client and call by call in turn, when CROFT_BENCH_GARDEN says where it
// listens (`unix:/path` or `tcp:host:port`); CROFT_BENCH_GARDEN_IMAGE names its image, which needs sh, cat, head and perl.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { pack } from 'tar-stream'
import { checkout, figures, scratch } from './support/tools.mjs'

const MIB = 1024 * 1024
const NETWORK = '10.253.0.0/20'
const ROUNDS = Number(process.env.CROFT_BENCH_ROUNDS ?? 40)
const MANY = Number(process.env.CROFT_BENCH_MANY ?? 500)
/** As many creates at once as a client with some sense would ask for. */
const AT_ONCE = 4
const LISTEN = String.raw`socket(S,2,1,6);bind(S,pack("S n a4 x8",2,8080,"\0\0\0\0"));listen(S,5);while(accept(C,S)){syswrite C,"hello";close C}`

const load = (path) => import(join(checkout, 'libs', path))

/** `croft garden` over a depot and an image of its own. */
async function serveOurs() {
  const dir = scratch('garden')
  const { makeFixtureRoot } = await load('garden-api/dist/conformance/fixture/root.js')
  await makeFixtureRoot(join(dir, 'root'))
  const depot = join(dir, 'depot')
  const address = `unix:${dir}/garden.sock`
  const start = async () => {
    const args = ['garden', '--listen', address, '--depot', depot, '--network', NETWORK, '--json']
    const server = spawn('./croft', [...args, '--default-rootfs', join(dir, 'root'), '--destroy-on-exit'], {
      cwd: checkout,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    /* set-up may have something to say before */
    for await (const line of createInterface({ input: server.stdout })) if (line.startsWith('{')) return server
    throw new Error('croft garden ended before it listened')
  }
  let server = await start()
  return {
    address,
    charged: () => chargedBytes(readFileSync(join(depot, 'k'), 'utf8').split(' ')[0]),
    /** How long a killed server is away until it answers with all its containers, ms. */
    async restart() {
      server.kill('SIGKILL')
      await once(server, 'exit')
      const began = performance.now()
      server = await start()
      return performance.now() - began
    },
    async close() {
      server.kill('SIGTERM')
      await once(server, 'exit')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Memory the containers of a home are charged with. */
function chargedBytes(k) {
  for (const file of [`memory/croft/${k}/memory.usage_in_bytes`, `croft/${k}/memory.current`]) {
    try {
      return Number(readFileSync(`/sys/fs/cgroup/${file}`, 'utf8'))
    } catch {
      // the other cgroup version
    }
  }
  throw new Error(`no memory cgroup of home ${k}`)
}
const availableBytes = () => Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))[1]) * 1024

async function runToEnd(container, path, args, io = {}) {
  const { exitCode } = await (await container.run({ path, args }, io)).wait()
  if (exitCode !== 0) throw new Error(`${path} ended with ${exitCode}`)
}

async function archive(bytes) {
  const tar = pack()
  tar.entry({ name: 'file' }, Buffer.alloc(bytes, 'x'))
  tar.finalize()
  const parts = []
  for await (const part of tar) parts.push(part)
  return Buffer.concat(parts)
}

async function drain(readable) {
  let bytes = 0
  for await (const chunk of readable) bytes += chunk.length
  return bytes
}

async function untilAnswers(host) {
  for (const end = performance.now() + 10_000; performance.now() < end; await delay(2)) {
    const socket = connect(8080, host)
    const said = await once(socket, 'data').catch(() => null)
    socket.destroy()
    if (said !== null) return
  }
  throw new Error(`nothing listens at ${host}`)
}

/** One of something in turn on each side, `rounds` times; milliseconds. */
async function inTurn(sides, rounds, call) {
  const took = Object.fromEntries(Object.keys(sides).map((name) => [name, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, side] of Object.entries(sides)) {
      const began = performance.now()
      const after = await call(side, round)
      took[name].push((after?.end ?? performance.now()) - began)
      await after?.undo?.()
    }
  }
  return Object.fromEntries(Object.entries(took).map(([name, values]) => [name, figures(values)]))
}

/** Calls on a container that stands, and the making and unmaking of one. */
async function single(sides, image) {
  const results = {}
  const spec = (side, handle, more) => ({ handle, ...image[side.name], ...more })
  const makes = (more) => async (side, round) => {
    await side.backend.create(spec(side, `bench-${round}`, more))
    return { end: performance.now(), undo: async () => await side.backend.destroy(`bench-${round}`) }
  }
  results.create = await inTurn(sides, ROUNDS, makes({}))
  const disk = { byteHard: 64 * MIB, scope: 'exclusive' }
  results.createWithDiskLimit = await inTurn(sides, ROUNDS / 2, makes({ limits: { disk } })).catch(noteOf)
  for (const side of Object.values(sides))
    for (let round = 0; round < ROUNDS; round += 1) await side.backend.create(spec(side, `gone-${round}`))
  results.destroy = await inTurn(sides, ROUNDS, async ({ backend }, round) => await backend.destroy(`gone-${round}`))
  results.listening = await inTurn(sides, ROUNDS / 4, async (side) => {
    const container = await side.backend.create(spec(side, 'listens'))
    await container.run({ path: 'perl', args: ['-e', LISTEN] })
    await untilAnswers((await container.info()).containerIp)
    return { end: performance.now(), undo: async () => await side.backend.destroy('listens') }
  })
  for (const side of Object.values(sides)) {
    side.container = await side.backend.create(spec(side, 'stands'))
    for (let n = 0; n < 15; n += 1) await side.backend.create(spec(side, `bulk-${n}`))
  }
  const tar = await archive(MIB)
  const bulk = Array.from({ length: 15 }, (_, n) => `bulk-${n}`)
  results.run = await inTurn(sides, ROUNDS * 2, async ({ container }) => await runToEnd(container, 'true', []))
  results.info = await inTurn(sides, ROUNDS * 2, async ({ container }) => void (await container.info()))
  results.metrics = await inTurn(sides, ROUNDS * 2, async ({ container }) => void (await container.metrics()))
  results.metricsOf15 = await inTurn(sides, ROUNDS, async ({ backend }) => void (await backend.bulkMetrics(bulk)))
  results.streamIn1MiB = await inTurn(sides, ROUNDS * 2, async ({ container }) => {
    await container.streamIn({ user: 'root', path: '/tmp/in', tar: Readable.from([tar]) })
  })
  results.streamOut1MiB = await inTurn(sides, ROUNDS * 2, async ({ container }) => {
    const bytes = await drain(await container.streamOut({ user: 'root', path: '/tmp/in/file' }))
    if (bytes < MIB) throw new Error(`only ${bytes} bytes came out`)
  })
  results.stdout64MiB = await inTurn(sides, ROUNDS / 4, async ({ container }) => {
    let bytes = 0
    const stdout = new Writable({
      write(chunk, _encoding, done) {
        bytes += chunk.length
        done()
      },
    })
    stdout.borrows = true
    await runToEnd(container, 'head', ['-c', String(64 * MIB), '/dev/zero'], { stdout })
    if (bytes !== 64 * MIB) throw new Error(`${bytes} of ${64 * MIB} bytes came`)
  })
  for (const { backend } of Object.values(sides))
    for (const handle of ['stands', ...bulk]) await backend.destroy(handle)
  results.createRunDestroyOf15 = await inTurn(sides, ROUNDS / 8, async (side) => {
    await Promise.all(
      bulk.map(async (handle) => {
        const container = await side.backend.create(spec(side, handle))
        await runToEnd(container, 'true', [])
        await side.backend.destroy(handle)
      }),
    )
  })
  return results
}

/** Hundreds of idle containers: made, counted, adopted by a server that was killed, and destroyed. */
async function many(side, image) {
  const handles = Array.from({ length: MANY }, (_, n) => `many-${n}`)
  const each = async (call) => {
    const waiting = handles.toReversed()
    const work = async () => {
      for (let handle = waiting.pop(); handle !== undefined; handle = waiting.pop()) await call(handle)
    }
    const began = performance.now()
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    return Math.round(performance.now() - began)
  }
  const [freeBefore, chargedBefore] = [availableBytes(), side.charged?.()]
  const result = { containers: MANY, createMs: await each((handle) => side.backend.create({ handle, ...image })) }
  result.kilobytesEach = Math.round((freeBefore - availableBytes()) / MANY / 1000)
  if (side.charged) result.chargedKilobytesEach = Math.round((side.charged() - chargedBefore) / MANY / 1000)
  const began = performance.now()
  await side.backend.bulkMetrics(handles)
  result.metricsOfAllMs = Math.round(performance.now() - began)
  if (side.restart) {
    result.killedServerIsBackMs = Math.round(await side.restart())
    const found = (await side.backend.containers()).length
    if (found !== MANY) throw new Error(`${found} of ${MANY} containers were taken up`)
  }
  result.destroyMs = await each((handle) => side.backend.destroy(handle))
  return result
}

const noteOf = (error) => ({ error: error.message })
const ratio = (croft, peer) => Math.round((croft / peer) * 1000) / 1000

/** Milliseconds of each call, and what each of many containers takes; with a peer, ratios to it (below 1 is faster). */
export async function bench() {
  const { createGardenClient } = await load('garden-api/dist/http/index.js')
  const ours = await serveOurs()
  const address = process.env.CROFT_BENCH_GARDEN
  const sides = { croft: { name: 'croft', backend: createGardenClient({ address: ours.address }), ...ours } }
  if (address) sides.peer = { name: 'peer', backend: createGardenClient({ address }) }
  const peerImage = process.env.CROFT_BENCH_GARDEN_IMAGE
  const image = { croft: {}, peer: peerImage ? { image: { uri: peerImage } } : {} }
  try {
    const calls = await single(sides, image)
    const full = {}
    for (const [name, side] of Object.entries(sides)) full[name] = await many(side, image[name]).catch(noteOf)
    const ratios = {}
    if (address)
      for (const [name, { croft, peer }] of Object.entries(calls)) if (peer) ratios[name] = ratio(croft.p50, peer.p50)
    return { unit: 'ms', calls, many: full, ...(address && { ratios }) }
  } finally {
    for (const side of Object.values(sides)) await side.backend.close()
    await ours.close()
  }
}
