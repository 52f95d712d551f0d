import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { waitFor } from '@croft/kit'
import type { Route } from '@croft/protocol'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { endpointOf, routeOf, routerRig, Upstream, type RouterRig } from './router-rig.js'

/** The router of a file's specs, and the ports that it and the upstreams listen on. */
export let rig: RouterRig
export let PORT: number
export let ONE: number
export let TWO: number
export let THREE: number
export let FOUR: number

const upstreams: Upstream[] = []

/** One router for the specs of a file, on the port `first`; that and the 13 after it are the file's own. */
export function useRouter(first: number): void {
  PORT = first
  ;[ONE, TWO, THREE, FOUR] = [first + 10, first + 11, first + 12, first + 13]
  beforeAll(async () => {
    rig = await routerRig(first)
  }, 30_000)
  afterEach(() => {
    for (const one of upstreams.splice(0)) one.kill()
  })
  afterAll(async () => {
    await rig?.close()
  })
}

/** An instance on a port, until the end of the spec. */
export async function upstream(port: number, label: string): Promise<Upstream> {
  const one = await new Upstream(port, label).start()
  upstreams.push(one)
  return one
}

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
}

/** One request through the router, for whatever host. */
export function ask(
  host: string,
  path = '/',
  options: { method?: string; headers?: Record<string, string>; agent?: Agent; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        port: PORT,
        host: '127.0.0.1',
        path,
        method: options.method ?? 'GET',
        headers: { host: `${host}:${PORT}`, ...options.headers },
        ...(options.agent !== undefined && { agent: options.agent }),
        timeout: 30_000,
      },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString()))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
      },
    )
    call.on('error', reject)
    call.end(options.body)
  })
}

/** Bytes in, bytes out, until the other side closes or nothing comes for `timeoutMs`. */
export function raw(bytes: string, timeoutMs: number): Promise<{ text: string; isClosed: boolean }> {
  return new Promise((resolve) => {
    const socket = connect(PORT, '127.0.0.1', () => socket.write(bytes, 'latin1'))
    let text = ''
    socket.setTimeout(timeoutMs, () => {
      resolve({ text, isClosed: false })
      socket.destroy()
    })
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve({ text, isClosed: true }))
  })
}

/** A request that its instance has, and answers after `ms`. */
export async function inFlight(host: string, ms: number): Promise<{ answer: Promise<Answer> }> {
  const answer = ask(host, `/slow/${ms}`)
  await waitFor(async () => (await ask(host)).headers['x-slow'] !== '0', {
    what: 'a request in flight',
    timeoutMs: 5_000,
  })
  return { answer }
}

/** Keep-alive requests on `connections` at once while `work` runs; every answer that is not a 200 is kept. */
export async function underLoad(
  host: string,
  work: () => Promise<void>,
  options: { connections?: number; path?: string } = {},
): Promise<{ sent: number; failed: string[]; slowestMs: number; labels: Set<string> }> {
  const agent = new Agent({ keepAlive: true, maxSockets: options.connections ?? 16 })
  const result = { sent: 0, failed: [] as string[], slowestMs: 0, labels: new Set<string>() }
  const load = { isOver: false }
  const client = async (): Promise<void> => {
    while (!load.isOver) {
      const started = performance.now()
      try {
        const answer = await ask(host, options.path ?? '/', { agent })
        if (answer.status === 200) result.labels.add(String(answer.headers['x-label']))
        else result.failed.push(`${answer.status} ${String(answer.headers['x-croft-error'])}`)
      } catch (error) {
        result.failed.push(String(error))
      }
      result.sent += 1
      result.slowestMs = Math.max(result.slowestMs, performance.now() - started)
    }
  }
  const clients = Array.from({ length: options.connections ?? 16 }, client)
  try {
    await work()
  } finally {
    load.isOver = true
    await Promise.all(clients)
    agent.destroy()
  }
  return result
}

/** An app with so many instances that its backend may need more slots than it has, which takes a reload. */
export function crowd(name: string, count: number): Route {
  const endpoints = Array.from({ length: count }, (_, index) =>
    endpointOf(`127.0.1.${index + 1}:${ONE}`, `${name} ${index}`),
  )
  return routeOf(name, [], { endpoints })
}
