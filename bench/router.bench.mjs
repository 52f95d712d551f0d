// The README's claim on the router: what Croft's HAProxy configuration costs per request, and what it saves when an instance dies,
// beside a bare HAProxy with two fixed servers. Both run at once and are loaded in turn, so that the machine treats them alike.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { createServer, get as httpGet } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { checkout, figures } from './support/tools.mjs'

const CROFT_PORT = 21082
const BARE_PORT = 21083
const UPSTREAM_PORTS = [21084, 21085]
const CONNECTIONS = 64
const ROUNDS = 5
const SECONDS = 3
const BODY = Buffer.alloc(1024, 'x')

// Started as a process of its own, this file is an instance: 1 KiB for every request.
if (process.argv[2] === 'instance') {
  createServer((_request, response) => response.end(BODY)).listen(Number(process.argv[3]), '127.0.0.1')
}

const bareConfig = `defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 2s
frontend http
    bind 127.0.0.1:${BARE_PORT}
    default_backend app
backend app
${UPSTREAM_PORTS.map((port, index) => `    server s${index + 1} 127.0.0.1:${port}`).join('\n')}
`

/** The files Croft's router writes for one app with two instances. */
async function croftFiles(run) {
  const load = (file) => import(join(checkout, 'apps/router/dist/haproxy', file))
  const [{ assign }, { platformRoutes, render }] = await Promise.all([load('assign.js'), load('render.js')])
  const endpoints = UPSTREAM_PORTS.map((port) => ({ address: `127.0.0.1:${port}`, weight: 1 }))
  const pool = { appName: 'shop', prefixes: ['shop.localhost/'], endpoints, idleReason: null }
  const state = assign([pool], null, () => false, platformRoutes('localhost'))
  return render(
    {
      run,
      domain: 'localhost',
      listen: ['127.0.0.1'],
      httpPort: CROFT_PORT,
      publicUrl: new URL(`http://localhost:${CROFT_PORT}`),
      timeScale: 1,
    },
    state,
  ).files
}

function startInstance(port) {
  const file = fileURLToPath(import.meta.url)
  return spawn(process.execPath, [file, 'instance', String(port)], { stdio: 'ignore' })
}

function startHaproxy(config) {
  return spawn('/usr/sbin/haproxy', ['-q', '-db', '-f', config], { stdio: 'ignore' })
}

async function answers(port) {
  for (let tries = 0; tries < 200; tries += 1) {
    const status = await new Promise((done) => {
      httpGet({ port, host: '127.0.0.1', headers: { host: 'shop.localhost' }, agent: false }, (response) => {
        response.resume()
        done(response.statusCode)
      }).on('error', () => done(0))
    })
    if (status === 200) return
    await delay(25)
  }
  throw new Error(`nothing answers on port ${port}`)
}

/** CPU time a process has used, µs (clock ticks are 10 ms). */
function cpuMicros(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

async function load(port, seconds) {
  const { default: autocannon } = await import('autocannon')
  return autocannon({
    url: `http://127.0.0.1:${port}/`,
    headers: { host: 'shop.localhost' },
    connections: CONNECTIONS,
    duration: seconds,
  })
}

/** Requests without a 2xx answer while one of the two instances is killed and comes back a second later. */
async function failuresOfACrash(port, instances) {
  const loading = load(port, 3)
  await delay(1_000)
  instances[0].kill('SIGKILL')
  await delay(1_000)
  instances[0] = startInstance(UPSTREAM_PORTS[0])
  const result = await loading
  await answers(UPSTREAM_PORTS[0])
  await delay(500)
  return result.non2xx + result.errors + result.resets
}

/** Microseconds of CPU for each request, requests per second, and requests that a crash fails, for both. */
export async function bench() {
  const home = mkdtempSync(join(tmpdir(), 'router-bench-'))
  const run = `${home}/run`
  for (const folder of ['router', 'haproxy', 'api']) mkdirSync(`${run}/${folder}`, { recursive: true })
  for (const [name, text] of await croftFiles(run)) writeFileSync(`${run}/router/${name}`, text)
  writeFileSync(`${home}/bare.cfg`, bareConfig)
  const instances = UPSTREAM_PORTS.map(startInstance)
  const croft = { port: CROFT_PORT, process: startHaproxy(`${run}/router/haproxy.cfg`) }
  const bare = { port: BARE_PORT, process: startHaproxy(`${home}/bare.cfg`) }
  const seen = { croft: { cpu: [], rps: [], lost: [] }, bare: { cpu: [], rps: [], lost: [] } }
  try {
    await Promise.all([...UPSTREAM_PORTS, CROFT_PORT, BARE_PORT].map(answers))
    for (const side of [croft, bare]) await load(side.port, 1)
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [name, side] of Object.entries(round % 2 === 0 ? { croft, bare } : { bare, croft })) {
        const before = cpuMicros(side.process.pid)
        const { requests } = await load(side.port, SECONDS)
        seen[name].cpu.push((cpuMicros(side.process.pid) - before) / requests.total)
        seen[name].rps.push(requests.average)
      }
    }
    for (let round = 0; round < 3; round += 1) {
      for (const [name, side] of Object.entries({ croft, bare })) {
        seen[name].lost.push(await failuresOfACrash(side.port, instances))
      }
    }
  } finally {
    for (const child of [...instances, croft.process, bare.process]) child.kill('SIGKILL')
    rmSync(home, { recursive: true, force: true })
  }
  const of = ({ cpu, rps, lost }) => ({
    cpuMicrosPerRequest: figures(cpu),
    requestsPerSecond: figures(rps),
    failedByACrash: figures(lost),
  })
  const result = { croft: of(seen.croft), bare: of(seen.bare) }
  return {
    ...result,
    cpuRatio: Math.round((result.croft.cpuMicrosPerRequest.p50 / result.bare.cpuMicrosPerRequest.p50) * 100) / 100,
  }
}
