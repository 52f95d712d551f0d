// The README's claim on healing: from `kill -9` of the only instance's process to the first answer of the next one, with the
// controller at work and with it stopped; and from `kill -9` of HAProxy to the first answer after it.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { checkout, command, figures, get, scratch, startPlatform, untilServes } from './support/tools.mjs'

const ROUNDS = 5
const PORT = 25_280
const APP = 'bench-healing'
const HOST = `${APP}.localhost:${PORT}`
const DEADLINE_MS = 60_000
const ASK_EVERY_MS = 5

/** Says who answers: every process makes up its own name, so that no answer of the killed one counts. */
const server = `import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
const me = randomUUID()
createServer((request, response) => response.end(me)).listen(process.env.PORT)
`

/** The app's process as the host numbers it, once there is just one: the instance before it may still be leaving. */
async function pidOfInstance() {
  for (let tries = 0; tries < 1_000; tries += 1) {
    const found = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && isInstance(pid))
    if (found.length === 1) return Number(found[0])
    await delay(20)
  }
  throw new Error('the instance is not one process')
}

function isInstance(pid) {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    return environment.includes(`CROFT_APP=${APP}`) && environment.includes('CROFT_INSTANCE=web.1')
  } catch {
    return false // it has just ended
  }
}

/** Asks until somebody else than `former` answers: the milliseconds since now, and how many requests failed meanwhile. */
async function untilNextAnswers(former) {
  const began = performance.now()
  let failed = 0
  while (performance.now() - began < DEADLINE_MS) {
    const body = await get(PORT, HOST)
    if (body !== undefined && body !== former) return { tookMs: performance.now() - began, failed }
    if (body === undefined) failed += 1
    await delay(ASK_EVERY_MS)
  }
  throw new Error(`nobody answered within ${DEADLINE_MS} ms`)
}

async function platformWithApp() {
  const platform = await startPlatform('healing', PORT)
  const folder = scratch('healing')
  const git = (...args) => command('git', args, { cwd: folder, env: platform.env })
  const scripts = { start: 'node server.mjs' }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: APP, version: '1.0.0', scripts }))
  writeFileSync(join(folder, 'server.mjs'), server)
  await git('init', '-q', '-b', 'main')
  await git('add', '-A')
  await git('commit', '-q', '-m', 'first')
  await git('push', '-q', `http://croft.localhost:${PORT}/${APP}.git`, 'main')
  const croft = (...args) => command('./croft', [...args, '--home', platform.home], { cwd: checkout })
  return {
    /** A new instance, which has not crashed yet: after three crashes in a row the next start waits. */
    restart: () => croft('ps:restart', '-a', APP),
    async again() {
      await platform.down()
      await platform.up()
      await untilServes(PORT, HOST, '')
    },
    pidOf: async (component) =>
      JSON.parse(await croft('status', '--json')).components.find(({ name }) => name === component).pid,
    async close() {
      await platform.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** One `kill -9` of the only instance's process, and what came after it. */
async function killInstance(platform) {
  await platform.restart()
  const pid = await pidOfInstance()
  const former = await get(PORT, HOST)
  if (former === undefined) throw new Error('the instance does not serve')
  process.kill(pid, 'SIGKILL')
  return untilNextAnswers(former)
}

async function killInstanceWithoutController(platform) {
  await platform.restart()
  const pid = await pidOfInstance()
  const former = await get(PORT, HOST)
  const controller = await platform.pidOf('controller')
  process.kill(controller, 'SIGSTOP')
  try {
    process.kill(pid, 'SIGKILL')
    return await untilNextAnswers(former)
  } finally {
    process.kill(controller, 'SIGCONT')
  }
}

/** Master and worker at once, on a platform that has just come up: what ended before starts later. */
async function killHaproxy(platform) {
  await platform.again()
  const master = await platform.pidOf('haproxy')
  const workers = readFileSync(`/proc/${master}/task/${master}/children`, 'utf8').trim().split(' ').map(Number)
  for (const pid of [master, ...workers]) process.kill(pid, 'SIGKILL')
  return untilNextAnswers(undefined)
}

/** Milliseconds until an answer came, and requests that failed until then, for each kind of death. */
export async function bench() {
  const platform = await platformWithApp()
  const kinds = {
    instance: killInstance,
    instanceWithoutController: killInstanceWithoutController,
    haproxy: killHaproxy,
  }
  const result = { unit: 'ms' }
  try {
    for (const [name, kill] of Object.entries(kinds)) {
      const seen = []
      for (let round = 0; round < ROUNDS; round += 1) seen.push(await kill(platform))
      result[name] = {
        tookMs: figures(seen.map(({ tookMs }) => tookMs)),
        failed: figures(seen.map(({ failed }) => failed)),
      }
    }
    return result
  } finally {
    await platform.close()
  }
}
