// GETs at a fixed rate. As a program, `node load.mjs PORT HOST PER_SECOND`, until its standard input ends: then it prints the outcome as
// JSON. It stands for clients on other machines, so whoever starts it gives it a processor whenever it wants one (`loadFromOutside`).
import { spawn } from 'node:child_process'
import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * GETs at a fixed rate until `until` resolves: their latencies in ms, without those of the first `warmUpMs`, and how many were not
 * answered 200.
 */
export async function load({ port, host, perSecond, warmUpMs = 0 }, until) {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const latencies = []
  let failed = 0
  let isOver = false
  const ended = until.finally(() => (isOver = true))
  const pending = new Set()
  const began = performance.now()
  for (let sent = 0; !isOver; sent += 1) {
    await delay(Math.max(0, began + (sent * 1_000) / perSecond - performance.now()))
    const at = performance.now()
    const one = new Promise((done) => {
      const asked = request({ host: '127.0.0.1', port, path: '/', agent, headers: { host } }, (response) => {
        response.resume()
        response.once('end', () => {
          if (response.statusCode !== 200) failed += 1
          else if (at - began >= warmUpMs) latencies.push(performance.now() - at)
          done()
        })
      })
      asked.once('error', () => {
        failed += 1
        done()
      })
      asked.end()
    }).finally(() => pending.delete(one))
    pending.add(one)
  }
  await Promise.all(pending)
  agent.destroy()
  await ended
  return { latencies, failed }
}

/** The same but for the first second, from a process of its own, before all others: a latency is what the host took, not what a client on it waited to run. */
export async function loadFromOutside(target, until) {
  const args = ['--fifo', '1', process.execPath, import.meta.filename, target.port, target.host, target.perSecond]
  const child = spawn('chrt', args.map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk) => (said += chunk))
  const exited = new Promise((done) => child.once('close', done))
  try {
    await until
  } finally {
    child.stdin.end()
    await exited
  }
  return JSON.parse(said)
}

if (process.argv[1] === import.meta.filename) {
  const [port, host, perSecond] = process.argv.slice(2)
  const ended = new Promise((done) => process.stdin.once('close', done).resume())
  const target = { port: Number(port), host, perSecond: Number(perSecond), warmUpMs: 1_000 }
  console.log(JSON.stringify(await load(target, ended)))
}
