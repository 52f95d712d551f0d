import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { silentLogger, systemClock } from '@croft/kit'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ControllerAway } from './control-client.js'
import { reportStatus, watchTable, type TableSnapshot } from './watch-table.js'

const folder = mkdtempSync('/tmp/router-')
const link = { socketPath: `${folder}/control.sock`, routerId: 'r1' }
let server: Server
let urls: string[]
let answers: { status: number; body?: unknown }[]

beforeEach(async () => {
  urls = []
  answers = []
  server = createServer((request, response) => {
    urls.push(`${request.method} ${request.url}`)
    const { status, body } = answers.shift() ?? { status: 204 }
    response.writeHead(status).end(body === undefined ? undefined : JSON.stringify(body))
  })
  rmSync(link.socketPath, { force: true })
  await new Promise<void>((resolve) => server.listen(link.socketPath, resolve))
})
afterEach(() => new Promise((resolve) => server.close(resolve)))

/** Watches until `applied` says it is enough. */
async function watched(
  isEnough: (applied: TableSnapshot[]) => boolean,
  fail: (count: number) => boolean = () => false,
) {
  const stop = new AbortController()
  const applied: TableSnapshot[] = []
  let tries = 0
  await watchTable({
    link,
    initial: { epoch: 'e1', revision: 4 },
    apply: async (snapshot) => {
      tries += 1
      if (fail(tries)) throw new Error('not now')
      applied.push(snapshot)
      await Promise.resolve()
      if (isEnough(applied)) stop.abort()
    },
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
    signal: stop.signal,
  })
  return applied
}
const snapshot = (revision: number) => ({ epoch: 'e1', revision, complete: true, items: [] })

afterAll(() => rmSync(folder, { recursive: true }))

describe('watching the route table', () => {
  it('starts from the kept revision, names the router, and acknowledges only what was applied', async () => {
    answers = [{ status: 204 }, { status: 200, body: snapshot(5) }, { status: 200, body: snapshot(5) }]
    answers.push({ status: 200, body: snapshot(6) })
    const applied = await watched(
      (list) => list.length === 2,
      (count) => count === 1,
    )
    expect(applied.map((one) => one.revision)).toEqual([5, 6])
    expect(urls).toEqual([4, 4, 4, 5].map((after) => `GET /v1/routes?epoch=e1&after=${after}&wait=20&router=r1`))
  })

  it('applies nothing but a complete, well-formed table', async () => {
    answers = [
      { status: 500 },
      { status: 200, body: { ...snapshot(5), complete: false } },
      { status: 200, body: { ...snapshot(5), items: [{ host: 'x' }] } },
      { status: 200, body: snapshot(5) },
    ]
    expect((await watched((list) => list.length === 1)).length).toBe(1)
    expect(urls.length).toBe(4)
  })
})

describe('reporting', () => {
  const report = { epoch: 'e1', appliedRevision: 5, busyInstances: [] }
  it('fails when the controller refuses or is away', async () => {
    const { signal } = new AbortController()
    await reportStatus(link, report, signal)
    expect(urls).toEqual(['PUT /v1/routers/r1/status'])
    answers = [{ status: 404 }]
    await expect(reportStatus(link, report, signal)).rejects.toThrow(/404/)
    await expect(reportStatus({ ...link, socketPath: `${folder}/none` }, report, signal)).rejects.toThrow(
      ControllerAway,
    )
  })
})
