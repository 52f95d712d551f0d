import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { registerAll } from '../commands/index.js'
import { createProgram } from '../program.js'
import { ApiClient } from './api-client.js'
import { ApiError, PlatformUnreachable } from './api-error.js'

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void

let server: Server
let handler: Handler
let url: string
let asked: string[]

const json = (response: ServerResponse, body: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

beforeEach(async () => {
  asked = []
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      asked.push(`${request.method} ${request.url}`)
      handler(request, response, body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://croft.localhost:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

describe('the client of a platform', () => {
  const client = async <T>(work: (api: ApiClient) => Promise<T>): Promise<T> => {
    const api = new ApiClient(url, 'croft_secret')
    try {
      return await work(api)
    } finally {
      await api.close()
    }
  }

  it('finds *.localhost on loopback and sends its token, JSON and query', async () => {
    handler = (request, response, body) =>
      json(response, { authorization: request.headers.authorization, host: request.headers.host, body })
    const echoed = await client((api) =>
      api.call('POST', '/x', z.looseObject({}), { body: { a: 1 }, query: { b: 'c d', none: undefined } }),
    )
    expect(asked).toEqual(['POST /api/v1/x?b=c+d'])
    expect(echoed).toMatchObject({ authorization: 'Bearer croft_secret', host: new URL(url).host, body: '{"a":1}' })
  })
  it('throws a refusal with what the platform said', async () => {
    handler = (_request, response) =>
      json(response, { title: 'no', status: 409, code: 'nope', suggestion: 'try', requestId: 'r1' }, 409)
    const refused = client((api) => api.call('GET', '/x', z.unknown()))
    await expect(refused).rejects.toBeInstanceOf(ApiError)
    await expect(refused).rejects.toMatchObject({ code: 'nope', suggestion: 'try', requestId: 'r1' })
  })
  it('says that a platform does not answer when its router, nothing, or nobody in time does', async () => {
    handler = (_request, response) => response.writeHead(503, { 'x-croft-error': 'H99' }).end('<html>')
    await expect(client((api) => api.call('GET', '/x', z.unknown()))).rejects.toThrow('its router answered 503 H99')
    handler = () => undefined
    await expect(client((api) => api.call('GET', '/x', z.unknown(), { timeoutMs: 50 }))).rejects.toBeInstanceOf(
      PlatformUnreachable,
    )
    const nobody = new ApiClient('http://croft.localhost:1', 't')
    await expect(nobody.call('GET', '/x', z.unknown())).rejects.toBeInstanceOf(PlatformUnreachable)
    await nobody.close()
  })
  it('says so when an answer is not understood', async () => {
    handler = (_request, response) => json(response, { other: 1 })
    await expect(client((api) => api.call('GET', '/x', z.object({ name: z.string() })))).rejects.toThrow(
      'is not understood',
    )
    handler = (_request, response) => response.end('not JSON')
    await expect(client((api) => api.call('GET', '/x', z.unknown()))).rejects.toBeInstanceOf(PlatformUnreachable)
  })
  it('gives the lines of a stream as they come, and ends when it is told to', async () => {
    handler = (_request, response) => response.write('one\ntwo\nthr')
    const stop = new AbortController()
    const lines = await client(async (api) => {
      const seen: string[] = []
      for await (const line of api.lines('/logs', { signal: stop.signal })) {
        seen.push(line)
        if (seen.length === 2) stop.abort()
      }
      return seen
    })
    expect(lines.slice(0, 2)).toEqual(['one', 'two'])
  })
})

describe('verbs against a platform', () => {
  const APP = {
    id: '1',
    name: 'shop',
    team: 'main',
    url: 'http://shop',
    gitUrl: 'http://g',
    release: 3,
    createdAt: 'x',
  }
  /** Runs a command line; what it printed, or the error it ended with. */
  const croft = async (...args: string[]): Promise<string> => {
    vi.stubEnv('CROFT_URL', url)
    vi.stubEnv('CROFT_TOKEN', 'croft_secret')
    let printed = ''
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed += String(text)
      return true
    })
    await createProgram(registerAll).parseAsync(args, { from: 'user' })
    return printed
  }

  it('apps prints a table, and with --json everything the platform sent', async () => {
    handler = (_request, response) => json(response, [{ ...APP, later: 'field' }])
    expect(await croft('apps')).toContain('shop  main  v3       http://shop')
    expect(JSON.parse(await croft('apps', '--json'))).toEqual([{ ...APP, later: 'field' }])
  })
  it('config shows no value unless it is asked to reveal', async () => {
    handler = (request, response) =>
      json(
        response,
        request.url?.includes('/values') === true ? { A: 'secret' } : [{ name: 'A', scope: 'both', updatedAt: 'x' }],
      )
    expect(await croft('config', '-a', 'shop')).toMatch(/A +\*{8} +instances and builds/)
    expect(JSON.parse(await croft('config', '-a', 'shop', '--json'))).toEqual({ A: '********' })
    expect(JSON.parse(await croft('config', '-a', 'shop', '--reveal', '--json'))).toEqual({ A: 'secret' })
  })
  const deployment = (state: string, message: string | null): Handler => {
    let looks = 0
    return (request, response) => {
      if (request.method === 'PATCH')
        return json(response, { changed: ['A'], forInstances: true, release: 4, deployment: 'd1' })
      looks += 1
      json(response, { id: 'd1', release: 4, state: looks < 2 ? 'rolling' : state, message })
    }
  }
  it('config:set waits for the deployment of its release', async () => {
    handler = deployment('succeeded', null)
    expect(await croft('config:set', 'A=1', '-a', 'shop')).toBe('A is changed; shop runs v4 with them.\n')
    expect(asked).toEqual([
      'PATCH /api/v1/apps/shop/config',
      'GET /api/v1/apps/shop/deployments/d1?wait=20',
      'GET /api/v1/apps/shop/deployments/d1?wait=20',
    ])
  })
  it('config:set fails with the cause, the last lines and the remedy when that deployment fails', async () => {
    handler = deployment('failed', 'web.1 crashed 3 times\nlook at the logs\nError: no A')
    await expect(croft('config:set', 'A=1', '-a', 'shop')).rejects.toMatchObject({
      title: 'v4 of shop was not deployed',
      detail: 'web.1 crashed 3 times\n  | Error: no A',
      suggestion: 'look at the logs',
    })
  })
  it.each([
    [['--build'], 'build'],
    [['--run'], 'run'],
    [['--build', '--run'], 'both'],
    [[], undefined],
  ])('config:set %j sets for whom', async (flags, scope) => {
    let sent = ''
    handler = (_request, response, body) => {
      sent = body
      json(response, { changed: ['A'], forInstances: false, release: null, deployment: null })
    }
    expect(await croft('config:set', 'A=1', '-a', 'shop', ...flags)).toBe('A is changed for the next build.\n')
    expect(JSON.parse(sent)).toEqual({ set: { A: '1' }, unset: [], ...(scope !== undefined && { scope }) })
  })
  it('config:set --detach does not wait', async () => {
    handler = deployment('failed', null)
    expect(await croft('config:set', 'A=1', '-a', 'shop', '--detach')).toContain('v4, which is being deployed')
    expect(asked).toHaveLength(1)
  })
  it('ps:scale sends numbers and prints the formation', async () => {
    handler = (_request, response, body) => {
      expect(JSON.parse(body)).toEqual({ web: 3 })
      json(response, [{ type: 'web', quantity: 3 }])
    }
    expect(await croft('ps:scale', 'web=3', '-a', 'shop')).toBe('web=3\n')
  })
  it('logs shows lines without what a terminal would obey', async () => {
    handler = (_request, response) =>
      response.end(`${JSON.stringify({ at: 'T', instance: 'web.1', stream: 'stdout', line: 'hi\u001b]0;x\u0007' })}\n`)
    expect(await croft('logs', '-a', 'shop', '--num', '5')).toBe('T web.1 hi]0;x\n')
    expect(asked).toEqual(['GET /api/v1/apps/shop/logs?lines=5'])
  })
  it('apps:destroy asks for the name once more before it asks the platform', async () => {
    await expect(croft('apps:destroy', 'shop')).rejects.toThrow('cannot be undone')
    expect(asked).toEqual([])
  })
})
