import { waitFor, type DeploymentId } from '@croft/kit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { bumpRevision, readRevision } from '../../apps/controller/src/db/revision.js'
import { DeployService, type DeployEnd } from '../../apps/controller/src/deploy/deploy.service.js'
import { ControlRig, hostOf, type App } from './support/control-rig.js'
import { ScriptedNode } from './support/scripted-node.js'
import { ScriptedRouter } from './support/scripted-router.js'
import { call } from './support/socket-call.js'

/** Placing, deploying and routing over a real database, with an executor and a router that follow a script. */

let rig: ControlRig
let node: ScriptedNode
let router: ScriptedRouter
/** Stops of instances that a router still had in its table: each would have lost requests. */
let stoppedWhileRouted: string[]
let count = 0

beforeAll(async () => {
  rig = await ControlRig.start()
})
afterAll(async () => {
  await rig?.close()
})
beforeEach(async () => {
  stoppedWhileRouted = []
  node = new ScriptedNode(rig.nodeSocket)
  router = new ScriptedRouter(rig.controlSocket)
  node.onStop = (item) => {
    if (router.routesTo(item.id)) stoppedWhileRouted.push(item.id)
  }
  await node.start()
  await router.start()
})
afterEach(async () => {
  router.isSilent = false
  await router.stop()
  await node.stop()
  expect(stoppedWhileRouted).toEqual([])
})

interface Ps {
  id: string
  instance: string
  state: string
  release: number
  address: string | null
}

async function newApp(): Promise<App> {
  count += 1
  return rig.createApp(`app-${count}`)
}

async function deploy(app: App, types?: string[], formation?: Record<string, number>): Promise<DeployEnd> {
  return rig.finish((await rig.release(app, types, formation)).id)
}

const ps = async (app: App): Promise<Ps[]> => (await rig.api<Ps[]>('GET', `/apps/${app.name}/ps`)).body
const endpoints = (app: App) => router.route(hostOf(app.name))?.endpoints ?? []
const stateOf = async (id: DeploymentId): Promise<string> => {
  const rows = await rig.dataSource.query<{ state: string }[]>('SELECT state FROM deployment WHERE id = $1', [id])
  return rows[0]?.state ?? ''
}

describe('a first deployment', () => {
  it('starts one web instance, routes to it and says so in the grammar of a push', async () => {
    const app = await newApp()
    const lines: string[] = []
    const deployment = await rig.release(app, ['web', 'worker'])
    expect(await rig.finish(deployment.id, lines)).toEqual({ state: 'succeeded' })
    expect(lines).toEqual([expect.stringMatching(/^-----> Starting web\.1 \.\.\. healthy {28}\d+\.\d s$/)])
    expect(endpoints(app)).toMatchObject([{ releaseVersion: 1, weight: 100 }])
    expect(await ps(app)).toMatchObject([{ instance: 'web.1', state: 'running', release: 1 }])
    const item = [...node.items.values()].find((candidate) => candidate.appId === app.id)
    expect(item?.spec).toMatchObject({
      kind: 'service',
      command: ['/cnb/process/web'],
      env: { PORT: '8080', CROFT_APP: app.name, CROFT_INSTANCE: 'web.1', CROFT_RELEASE: 'v1' },
    })
  })

  it('takes well under a second from the release to traffic', async () => {
    const tookMs: number[] = []
    for (let round = 0; round < 3; round += 1) {
      const app = await newApp()
      const startedAt = performance.now()
      await deploy(app)
      tookMs.push(performance.now() - startedAt)
    }
    expect(Math.min(...tookMs)).toBeLessThan(800) // the other rounds may have met what runs beside this file
  })

  it('of an app with workers only needs no router', async () => {
    const app = await newApp()
    expect(await deploy(app, ['worker'], { worker: 2 })).toEqual({ state: 'succeeded' })
    expect((await ps(app)).map(({ instance, state }) => `${instance} ${state}`)).toEqual([
      'worker.1 running',
      'worker.2 running',
    ])
  })
})

describe('a further deployment', () => {
  it('starts the new ones, routes to them everywhere, and only then stops the old ones', async () => {
    const app = await newApp()
    await deploy(app, ['web'], { web: 3 })
    const before = endpoints(app).map(({ instanceId }) => instanceId)
    expect(await deploy(app)).toEqual({ state: 'succeeded' })
    await waitFor(async () => (await ps(app)).length === 3, { what: 'the old ones to go', timeoutMs: 10_000 })
    expect(endpoints(app).every(({ releaseVersion }) => releaseVersion === 2)).toBe(true)
    expect(endpoints(app).some(({ instanceId }) => before.includes(instanceId))).toBe(false)
  })

  it('waits for a router that does not acknowledge, and the old instance stays routed', async () => {
    const app = await newApp()
    await deploy(app)
    router.isSilent = true
    const deployment = await rig.release(app)
    await waitFor(
      async () => (await ps(app)).some(({ release: version, state }) => version === 2 && state === 'running'),
      {
        what: 'the new instance',
        timeoutMs: 5_000,
      },
    )
    await node.join() // anything that wakes the loop
    expect(await stateOf(deployment.id)).toBe('rolling')
    expect((await ps(app)).map(({ release: version, state }) => `${version} ${state}`)).toEqual([
      '1 running',
      '2 running',
    ])
    router.isSilent = false
    expect(await rig.finish(deployment.id)).toEqual({ state: 'succeeded' })
  })

  it('lets requests in flight end before the old instance is stopped', async () => {
    const app = await newApp()
    await deploy(app)
    const [old] = endpoints(app)
    router.busy = new Set([old?.instanceId ?? ''])
    await deploy(app)
    await waitFor(async () => (await ps(app)).some(({ state }) => state === 'draining'), {
      what: 'the drain',
      timeoutMs: 5_000,
    })
    expect(node.items.has(old?.instanceId ?? '')).toBe(true)
    router.busy = new Set()
    await router.report()
    await waitFor(() => !node.items.has(old?.instanceId ?? ''), { what: 'the stop', timeoutMs: 5_000 })
  })

  it('whose instance crashes at boot three times fails with its last lines, and the old one serves on', async () => {
    const app = await newApp()
    await deploy(app)
    const [old] = endpoints(app)
    node.behave = (item) =>
      item.releaseVersion === 2
        ? { kind: 'crash', lastLines: ['TypeError: x is not a function', '    at server.js:1'] }
        : { kind: 'ready' }
    const end = await deploy(app)
    expect(end).toMatchObject({
      state: 'failed',
      cause: 'web.1 of v2 crashed at boot: it ended with exit code 1',
      lastLines: ['TypeError: x is not a function', '    at server.js:1'],
    })
    expect(endpoints(app)).toEqual([old])
    await waitFor(async () => (await ps(app)).length === 1, { what: 'the new one to go', timeoutMs: 5_000 })
    const releases = (await rig.api<{ version: number; status: string }[]>('GET', `/apps/${app.name}/releases`)).body
    expect(releases.map(({ version, status }) => `${version} ${status}`)).toEqual(['2 failed', '1 succeeded'])
  })

  it.each([
    { reason: 'port-wrong' as const, message: 'it listens on 9999', says: /not on port 8080: it listens on 9999/ },
    { reason: 'port-on-loopback' as const, message: 'no', says: /only on 127\.0\.0\.1/ },
    { reason: 'boot-timeout' as const, message: 'no', says: /not ready after 60 s/ },
  ])('fails at the first $reason', async ({ reason, message, says }) => {
    const app = await newApp()
    node.behave = () => ({ kind: 'crash', reason, message, times: 1 })
    const end = await deploy(app)
    expect(end.state).toBe('failed')
    if (end.state === 'failed') expect(end.cause).toMatch(says)
    await waitFor(async () => (await ps(app)).length === 0, { what: 'nothing to be left', timeoutMs: 5_000 })
  })

  it('that has no room says how much there is', async () => {
    node.memoryBytes = 400 * 1024 ** 2
    await waitFor(
      async () =>
        (await rig.dataSource.query(`SELECT FROM node WHERE (capacity->>'memoryBytes')::bigint < $1`, [2 ** 29]))
          .length > 0,
      { what: 'the report', timeoutMs: 5_000 },
    )
    const app = await newApp()
    const lines: string[] = []
    const deployment = await rig.release(app)
    await waitFor(async () => (await ps(app)).some(({ state }) => state === 'pending'), {
      what: 'no place',
      timeoutMs: 5_000,
    })
    const [pending] = (await rig.api<{ message: string }[]>('GET', `/apps/${app.name}/ps`)).body
    expect(pending?.message).toMatch(/^no node has 512 MiB free \(largest \d+ MiB\); scale down or add one$/)
    await rig.service(DeployService).cancel(deployment.id)
    expect(await rig.finish(deployment.id, lines)).toEqual({ state: 'canceled' })
    await waitFor(async () => (await ps(app)).length === 0, { what: 'nothing to be left', timeoutMs: 5_000 })
  })

  it('is refused while another one rolls', async () => {
    const app = await newApp()
    node.behave = () => ({ kind: 'hang' })
    const first = await rig.release(app)
    await expect(rig.release(app)).rejects.toMatchObject({ code: 'deployment-active', status: 409 })
    await rig.service(DeployService).cancel(first.id)
  })

  it('that nobody waits for any more is canceled, and what it started goes', async () => {
    const app = await newApp()
    await deploy(app)
    node.behave = () => ({ kind: 'hang' })
    const deployment = await rig.release(app)
    await waitFor(async () => (await ps(app)).length === 2, { what: 'the new instance', timeoutMs: 5_000 })
    const gone = new AbortController()
    const waiting = rig.service(DeployService).wait(deployment.id, { signal: gone.signal })
    gone.abort()
    expect(await waiting).toEqual({ state: 'canceled' })
    await waitFor(async () => (await ps(app)).map(({ release: version }) => version).join() === '1', {
      what: 'the former release alone',
      timeoutMs: 5_000,
    })
    expect(endpoints(app)).toHaveLength(1)
  })
})

describe('the verbs of running apps', () => {
  it('scale up and down without a release, and routes follow', async () => {
    const app = await newApp()
    await deploy(app)
    expect((await rig.api('PATCH', `/apps/${app.name}/formation`, { web: 3 })).status).toBe(200)
    await waitFor(() => endpoints(app).length === 3, { what: 'three endpoints', timeoutMs: 5_000 })
    await rig.api('PATCH', `/apps/${app.name}/formation`, { web: 0 })
    await waitFor(async () => (await ps(app)).length === 0, { what: 'none', timeoutMs: 5_000 })
    expect(router.route(hostOf(app.name))).toMatchObject({ endpoints: [], idleReason: 'scaled-to-zero' })
    const unknown = await rig.api<{ code: string; detail: string }>('PATCH', `/apps/${app.name}/formation`, { wbe: 1 })
    expect(unknown).toMatchObject({
      status: 400,
      body: { code: 'process-type-unknown', detail: 'its process types are web' },
    })
  })

  it('restart replaces each instance by a new one of the same release', async () => {
    const app = await newApp()
    await deploy(app, ['web'], { web: 2 })
    const before = (await ps(app)).map(({ id }) => id)
    const { status, body } = await rig.api<{ id: DeploymentId }>('POST', `/apps/${app.name}/restart`)
    expect(status).toBe(202)
    expect(await rig.finish(body.id)).toEqual({ state: 'succeeded' })
    await waitFor(async () => (await ps(app)).length === 2, { what: 'two instances', timeoutMs: 5_000 })
    const after = await ps(app)
    expect(after.map(({ instance, release: version }) => `${instance} ${version}`)).toEqual(['web.1 1', 'web.2 1'])
    expect(after.some(({ id }) => before.includes(id))).toBe(false)
  })

  it('stop ends everything and start brings it back', async () => {
    const app = await newApp()
    await deploy(app)
    await rig.api('POST', `/apps/${app.name}/stop`)
    await waitFor(async () => (await ps(app)).length === 0, { what: 'none', timeoutMs: 5_000 })
    await rig.api('POST', `/apps/${app.name}/start`)
    await waitFor(() => endpoints(app).length === 1, { what: 'one', timeoutMs: 5_000 })
  })

  it('destroy takes its instances and its route along', async () => {
    const app = await newApp()
    await deploy(app)
    expect((await rig.api('DELETE', `/apps/${app.name}?confirm=${app.name}`)).status).toBe(204)
    await waitFor(() => ![...node.items.values()].some((item) => item.appId === app.id), {
      what: 'no instance',
      timeoutMs: 5_000,
    })
    expect(router.route(hostOf(app.name))).toBeUndefined()
  })
})

describe('a rollback', () => {
  interface Info {
    version: number
    image: string
    processTypes: Record<string, string>
    config: string[]
    description: string
  }
  const info = async (app: App, version: number): Promise<Info> =>
    (await rig.api<Info>('GET', `/apps/${app.name}/releases/v${version}`)).body
  const rollback = async (app: App, body: object = {}): Promise<{ status: number; body: { id: DeploymentId } }> =>
    rig.api('POST', `/apps/${app.name}/rollback`, body)
  const formation = async (app: App): Promise<Record<string, number>> => {
    const rows = await rig.api<{ type: string; quantity: number }[]>('GET', `/apps/${app.name}/formation`)
    return Object.fromEntries(rows.body.map(({ type, quantity }) => [type, quantity]))
  }
  const setConfig = async (app: App, set: Record<string, string>, unset: string[] = []): Promise<void> => {
    const { body } = await rig.api<{ deployment: DeploymentId | null }>('PATCH', `/apps/${app.name}/config`, {
      set,
      unset,
    })
    if (body.deployment !== null) expect(await rig.finish(body.deployment)).toEqual({ state: 'succeeded' })
  }

  it('brings image, process types and config of an older release back as a new one', async () => {
    const app = await newApp()
    await setConfig(app, { A: 'old', GONE: 'x' })
    await deploy(app, ['web', 'clock'], { clock: 1 })
    await setConfig(app, { A: 'new', B: 'new' }, ['GONE'])
    const { status, body } = await rollback(app, { release: 'v1' })
    expect(status).toBe(202)
    expect(await rig.finish(body.id)).toEqual({ state: 'succeeded' })
    const [old, back] = [await info(app, 1), await info(app, 3)]
    expect(back).toMatchObject({ image: old.image, processTypes: old.processTypes, config: old.config })
    expect(back.description).toBe('Rollback to v1')
    const values = await rig.api('GET', `/apps/${app.name}/config/values`)
    expect(values.body).toEqual({ A: 'old', GONE: 'x' }) // and the next push has them too
    await waitFor(() => endpoints(app).every(({ releaseVersion }) => releaseVersion === 3), {
      what: 'v3 alone in the table',
      timeoutMs: 5_000,
    })
  })

  it('without a number goes to the release before that served, not to one that failed', async () => {
    const app = await newApp()
    await deploy(app)
    node.behave = () => ({ kind: 'crash' })
    expect(await deploy(app)).toMatchObject({ state: 'failed' })
    node.behave = () => ({ kind: 'ready' })
    await deploy(app)
    expect(await rig.finish((await rollback(app)).body.id)).toEqual({ state: 'succeeded' })
    expect((await info(app, 4)).description).toBe('Rollback to v1')
  })

  it('keeps quantities, and sets types that no longer exist to 0 once it serves', async () => {
    const app = await newApp()
    await deploy(app, ['web'])
    await deploy(app, ['web', 'worker'], { worker: 2 })
    await rig.api('PATCH', `/apps/${app.name}/formation`, { web: 3 })
    const { body } = await rollback(app)
    expect(await rig.finish(body.id)).toEqual({ state: 'succeeded' })
    expect(await formation(app)).toEqual({ web: 3, worker: 0 })
  })

  it('takes the former quantities too when asked, and none of it when it fails', async () => {
    const app = await newApp()
    await deploy(app, ['web', 'worker'], { worker: 2 })
    await deploy(app, ['web', 'worker'])
    await rig.api('PATCH', `/apps/${app.name}/formation`, { web: 2, worker: 0 })
    node.behave = (item) => (item.releaseVersion === 3 ? { kind: 'crash' } : { kind: 'ready' })
    const failed = await rollback(app, { release: '1', formation: true })
    expect(await rig.finish(failed.body.id)).toMatchObject({ state: 'failed' })
    expect(await formation(app)).toEqual({ web: 2, worker: 0 })
    node.behave = () => ({ kind: 'ready' })
    const done = await rollback(app, { release: '1', formation: true })
    expect(await rig.finish(done.body.id)).toEqual({ state: 'succeeded' })
    expect(await formation(app)).toEqual({ web: 1, worker: 2 })
  })

  it('is refused to a release so old that its image is gone', async () => {
    const app = await newApp()
    await deploy(app)
    const first = await rig.dataSource.query<{ id: string }[]>('SELECT id FROM release WHERE app_id = $1', [app.id])
    await rig.dataSource.query(
      `WITH served AS (INSERT INTO release (team_id, app_id, version, image, process_types, config, checks, formation, description, author)
         SELECT r.team_id, r.app_id, n, r.image, r.process_types, r.config, r.checks, r.formation, r.description, r.author
         FROM release r, generate_series(2, 51) n WHERE r.id = $1 RETURNING *)
       INSERT INTO deployment (team_id, app_id, release_id, release_version, state)
         SELECT team_id, app_id, id, version, 'succeeded' FROM served`,
      [first[0]?.id],
    )
    await rig.dataSource.query('UPDATE app SET current_release = 51 WHERE id = $1', [app.id])
    const refused = await rollback(app, { release: 'v1' })
    expect(refused.body as unknown).toMatchObject({ code: 'release-too-old' })
    expect((await rollback(app, { release: 'v2' })).status).toBe(202)
  })

  it('is refused to what serves, to what never served, to what is not there, and while another release rolls', async () => {
    const app = await newApp()
    const code = async (body: object = {}): Promise<unknown> =>
      ((await rollback(app, body)).body as unknown as { code: string }).code
    expect(await code()).toBe('nothing-released')
    await deploy(app)
    expect(await code()).toBe('no-former-release')
    expect(await code({ release: 'v1' })).toBe('release-serves')
    expect(await code({ release: 'v9' })).toBe('release-not-found')
    expect(await code({ release: 'latest' })).toBe('release-not-found')
    await deploy(app)
    node.behave = () => ({ kind: 'hang' })
    await rig.release(app)
    expect(await code({ release: 'v3' })).toBe('release-never-served')
    expect(await code()).toBe('deployment-active')
    expect((await info(app, 4)) as unknown).toMatchObject({ code: 'release-not-found' })
  })
})

describe('a crashed instance', () => {
  it('leaves the table while it is not ready and comes back with its id and address', async () => {
    const app = await newApp()
    await deploy(app)
    const [before] = endpoints(app)
    const id = before?.instanceId ?? ''
    node.say(id, { observed: 'backoff', restarts: 1, reason: 'crashed' })
    await waitFor(() => router.route(hostOf(app.name))?.idleReason === 'crashed', { what: 'H10', timeoutMs: 5_000 })
    expect(await ps(app)).toMatchObject([{ state: 'crashed' }])
    node.say(id, { observed: 'ready', reason: null })
    await waitFor(() => endpoints(app).length === 1, { what: 'it to be back', timeoutMs: 5_000 })
    expect(endpoints(app)).toEqual([before])
  })
})

describe('the controller restarted while a deployment is', () => {
  it.each(['pending', 'rolling', 'reverting'] as const)('%s: the next one brings it to its end', async (state) => {
    const app = await newApp()
    await deploy(app)
    router.isSilent = state === 'rolling'
    if (state === 'reverting') {
      node.behave = (item) => (item.releaseVersion === 2 ? { kind: 'crash', times: 3 } : { kind: 'ready' })
    }
    const deployment = await rig.release(app)
    if (state !== 'pending') {
      await waitFor(async () => ['rolling', 'reverting', 'failed'].includes(await stateOf(deployment.id)), {
        what: state,
        timeoutMs: 5_000,
        everyMs: 1,
      })
    }
    await rig.restart()
    router.isSilent = false
    expect((await rig.finish(deployment.id)).state).toBe(state === 'reverting' ? 'failed' : 'succeeded')
    await waitFor(async () => (await ps(app)).length === 1, { what: 'one instance', timeoutMs: 10_000 })
    expect(endpoints(app)).toMatchObject([{ releaseVersion: state === 'reverting' ? 1 : 2 }])
  })

  it('keeps routing and lets nothing stop meanwhile', async () => {
    const app = await newApp()
    await deploy(app)
    const [before] = await ps(app)
    await rig.restart()
    await waitFor(async () => (await ps(app))[0]?.state === 'running', { what: 'the instance', timeoutMs: 5_000 })
    expect((await ps(app))[0]?.id).toBe(before?.id)
    expect(endpoints(app)).toHaveLength(1)
  })
})

describe('revisions', () => {
  it('are seen in order by a reader that remembers the last number, also with many writers at once', async () => {
    const written: number[] = []
    const writers = Array.from({ length: 6 }, async () => {
      for (let index = 0; index < 20; index += 1) {
        await rig.dataSource.transaction(async (manager) => {
          const revision = await bumpRevision(manager, 'node:order')
          await manager.query(`INSERT INTO setting (key, value) VALUES ($1, $2)`, [`order-${revision}`, revision])
          written.push(revision)
        })
      }
    })
    let isDone = false
    const seen = new Set<number>()
    const reader = (async () => {
      let last = 0
      while (!isDone || seen.size < written.length) {
        const now = await readRevision(rig.dataSource.manager, 'node:order')
        const rows = await rig.dataSource.query<{ value: number }[]>(
          `SELECT value FROM setting WHERE key LIKE 'order-%' AND (value)::bigint > $1 AND (value)::bigint <= $2`,
          [last, now],
        )
        for (const row of rows) seen.add(Number(row.value))
        last = now
      }
    })()
    await Promise.all(writers)
    isDone = true
    await reader
    expect([...seen].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, index) => index + 1))
  })
})

describe('the wire', () => {
  it('gives a node the same range on every join, and two nodes different ones', async () => {
    const first = node.network
    await node.join()
    expect(node.network).toBe(first)
    expect(first).toMatch(/^10\.\d+\.\d+\.0\/20$/)
  })

  it('moves a node that booted to another range when its host routes the old one by now', async () => {
    const other = new ScriptedNode(rig.nodeSocket, 'moving')
    await other.join()
    const { network } = other
    other.bootId = 'another boot'
    await other.join([network, '0.0.0.0/0', 'fe80::/64'])
    expect(other.network).not.toBe(network)
    await rig.dataSource.query(`DELETE FROM node WHERE name = 'moving'`)
  })

  it('asks for all statuses when the hash is another one, and refuses a node nobody knows', async () => {
    const report = {
      bootId: node.bootId,
      epoch: null,
      appliedRevision: 0,
      capacity: { memoryBytes: 1, diskBytes: 1, cpuMillis: 1, maxInstances: 1 },
      statusHash: 'other',
    }
    expect(await call(rig.nodeSocket, 'PUT', `/v1/nodes/${node.nodeId}/status`, report)).toMatchObject({
      status: 409,
      body: { code: 'send-full' },
    })
    expect(
      await call(rig.nodeSocket, 'PUT', `/v1/nodes/0190a000-0000-7000-8000-000000000000/status`, report),
    ).toMatchObject({
      status: 404,
      body: { code: 'node-unknown' },
    })
    expect(
      await call(rig.nodeSocket, 'PUT', `/v1/nodes/${node.nodeId}/status`, { ...report, capacity: 1 }),
    ).toMatchObject({
      status: 400,
      body: { code: 'bad-input' },
    })
  })

  it('answers 204 to a poll when nothing is newer', async () => {
    // the table may still be catching up with the deployments before
    await waitFor(
      async () => {
        const path = `/v1/routes?router=router-2&epoch=${router.table?.epoch}&after=${router.table?.revision}&wait=0`
        return (await call(rig.controlSocket, 'GET', path)).status === 204
      },
      { what: 'a poll with the newest revision to be answered 204', timeoutMs: 5_000 },
    )
    await rig.dataSource.query(`DELETE FROM router WHERE id = 'router-2'`)
  })
})
