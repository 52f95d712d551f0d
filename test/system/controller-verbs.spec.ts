import { waitFor, type DeploymentId } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { hostOf, type App } from './support/control-rig.js'
import { deploy, endpoints, newApp, node, ps, rig, router, useScriptedPlatform } from './support/scripted-platform.js'

/** What is asked of apps that run, over a real database, with an executor and a router that follow a script. */

useScriptedPlatform()

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
