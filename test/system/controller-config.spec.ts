import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { AppService, ConfigStore, ReleaseService, TokenService, type Principal } from '@croft/controller'
import type { DataSource } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { controllerRig, type Answer, type ControllerRig } from './support/controller-rig.js'
import { dataSourceOf } from './support/data-source-of.js'

const CANARY = 'canary-4c0ffee-not-in-the-dump'

describe('config vars of a controller', () => {
  let rig: ControllerRig
  let dataSource: DataSource
  let viewer: string
  let operator: Principal
  let number = 0
  let app: string
  beforeAll(async () => {
    rig = await controllerRig()
    dataSource = dataSourceOf(rig)
    const issue = rig.controller.app.get(TokenService)
    operator = (await issue.find(rig.operatorToken)) as Principal
    viewer = (await issue.create({ teamId: operator.teamId, role: 'viewer', description: 'viewer' })).token
  })
  afterAll(() => rig?.close())
  beforeEach(async () => {
    app = `config-${(number += 1)}`
    await rig.ask('POST', '/api/v1/apps', { token: rig.operatorToken, body: { name: app } })
  })

  const change = (body: unknown, name = app): Promise<Answer> =>
    rig.ask('PATCH', `/api/v1/apps/${name}/config`, { token: rig.operatorToken, body })
  const values = async (name = app): Promise<Answer> =>
    rig.ask('GET', `/api/v1/apps/${name}/config/values`, { token: rig.operatorToken })

  it('are set, changed, listed without values, shown with them, and removed', async () => {
    const first = await change({ set: { A: '1', B: 'two words = ünïcode\n' } })
    expect(first.json).toEqual({ changed: ['A', 'B'], forInstances: true, release: null, deployment: null })
    expect((await change({ set: { A: '1', B: 'other' } })).json).toMatchObject({ changed: ['B'] })
    const list = await rig.ask('GET', `/api/v1/apps/${app}/config`, { token: viewer })
    expect((list.json as { name: string }[]).map((of) => of.name)).toEqual(['A', 'B'])
    expect(list.text).not.toContain('other')
    expect((await values()).json).toEqual({ A: '1', B: 'other' })
    expect((await change({ unset: ['A'] })).json).toMatchObject({ changed: ['A'] })
    expect((await values()).json).toEqual({ B: 'other' })
  })

  it('are for instances, for builds or for both, as they were set last', async () => {
    const scopes = async (): Promise<Record<string, string>> => {
      const { json } = await rig.ask('GET', `/api/v1/apps/${app}/config`, { token: viewer })
      return Object.fromEntries((json as { name: string; scope: string }[]).map(({ name, scope }) => [name, scope]))
    }
    const store = rig.controller.app.get(ConfigStore)
    const row = await rig.controller.app.get(AppService).findInTeam(operator.teamId, app)
    const seen = async (): Promise<{ builds: string[]; instances: string[] }> => {
      return {
        builds: Object.keys(await store.openForBuild(row)),
        instances: Object.keys(await store.snapshot(row)),
      }
    }
    await change({ set: { PLAIN: '1' } })
    expect((await change({ set: { TOKEN: '2' }, scope: 'build' })).json).toMatchObject({ forInstances: false })
    await change({ set: { SHARED: '3' }, scope: 'both' })
    expect(await scopes()).toEqual({ PLAIN: 'run', TOKEN: 'build', SHARED: 'both' })
    expect(await seen()).toEqual({ builds: ['SHARED', 'TOKEN'], instances: ['PLAIN', 'SHARED'] })

    await change({ set: { TOKEN: 'other', SHARED: 'other' } })
    expect(await scopes()).toEqual({ PLAIN: 'run', TOKEN: 'build', SHARED: 'both' })
    expect((await change({ set: { PLAIN: '1' }, scope: 'build' })).json).toMatchObject({
      changed: ['PLAIN'],
      forInstances: true, // they saw it until now
    })
    expect(await seen()).toEqual({ builds: ['PLAIN', 'SHARED', 'TOKEN'], instances: ['SHARED'] })
    expect((await change({ unset: ['TOKEN'] })).json).toMatchObject({ forInstances: false })
    expect((await change({ set: { A: '1' }, scope: 'all' })).status).toBe(400)

    // as a rollback does: a release knows nothing of what only builds see
    const older = { NEW: (await store.snapshot(row))['SHARED'] } as Parameters<ConfigStore['restore']>[2]
    await dataSource.transaction((manager) => store.restore(manager, row, older))
    expect(await scopes()).toEqual({ PLAIN: 'build', NEW: 'run' })
  })

  it('are not shown to a viewer', async () => {
    const answer = await rig.ask('GET', `/api/v1/apps/${app}/config/values`, { token: viewer })
    expect(answer.json).toMatchObject({ status: 403, code: 'forbidden' })
  })

  it('stay as they were when any one of a change is refused', async () => {
    await change({ set: { A: 'kept' } })
    for (const body of [
      { set: { A: 'new', PORT: '1' } },
      { set: { A: 'new' }, unset: ['NOT_SET'] },
      { set: { A: 'new', B: 'x'.repeat(70_000) } },
      { set: { A: 'new', B: 7 } },
    ]) {
      expect((await change(body)).status, JSON.stringify(body).slice(0, 80)).toBe(400)
    }
    expect((await values()).json).toEqual({ A: 'kept' })
  })

  it('leave an event when they are shown or changed, with names and without values', async () => {
    await change({ set: { SECRET: CANARY } })
    await values()
    const events = await dataSource.query<{ kind: string; message: string }[]>(
      `SELECT kind, message FROM event WHERE app_id = (SELECT id FROM app WHERE name = $1) ORDER BY id`,
      [app],
    )
    expect(events.map((event) => event.kind)).toEqual(['app-created', 'config-changed', 'config-revealed'])
    expect(events.map((event) => event.message).join()).toContain('SECRET')
  })

  it('lie in no table in plain text', async () => {
    await change({ set: { SECRET: CANARY } })
    const tables = await dataSource.query<{ name: string }[]>(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`,
    )
    for (const { name } of tables) {
      const rows = await dataSource.query<{ text: string }[]>(`SELECT t::text AS text FROM "${name}" t`)
      const dump = rows.map((row) => row.text).join('\n')
      for (const form of [CANARY, Buffer.from(CANARY).toString('base64'), Buffer.from(CANARY).toString('hex')]) {
        expect(dump, name).not.toContain(form)
      }
    }
  })

  it('are refused with one byte of a ciphertext flipped', async () => {
    await change({ set: { SECRET: CANARY } })
    const [row] = await dataSource.query<{ value: { ciphertext: string } }[]>(
      `SELECT value FROM config_var WHERE app_id = (SELECT id FROM app WHERE name = $1)`,
      [app],
    )
    const bytes = Buffer.from(row?.value.ciphertext ?? '', 'base64')
    bytes[3] = (bytes[3] ?? 0) ^ 1
    await dataSource.query(
      `UPDATE config_var SET value = jsonb_set(value, '{ciphertext}', to_jsonb($2::text))
       WHERE app_id = (SELECT id FROM app WHERE name = $1)`,
      [app, bytes.toString('base64')],
    )
    const answer = await values()
    expect(answer.json).toMatchObject({ status: 500, code: 'seal-broken' })
    expect(answer.text).not.toContain(CANARY)
  })

  it('are refused when the rows of two names, or of two apps, were swapped', async () => {
    const other = `${app}-other`
    await rig.ask('POST', '/api/v1/apps', { token: rig.operatorToken, body: { name: other } })
    await change({ set: { A: 'one', B: 'two' } })
    await change({ set: { A: 'three' } }, other)
    await dataSource.query(
      `UPDATE config_var mine SET value = theirs.value FROM config_var theirs
       WHERE mine.app_id = theirs.app_id AND mine.name <> theirs.name
         AND mine.app_id = (SELECT id FROM app WHERE name = $1)`,
      [app],
    )
    expect((await values()).json).toMatchObject({ code: 'seal-broken' })
    await dataSource.query(
      `UPDATE config_var mine SET value = theirs.value FROM config_var theirs
       WHERE mine.app_id = (SELECT id FROM app WHERE name = $1)
         AND theirs.app_id = (SELECT id FROM app WHERE name = $2) AND theirs.name = 'B'`,
      [other, app],
    )
    expect((await values(other)).json).toMatchObject({ code: 'seal-broken' })
  })

  it('are refused with the data key of another app', async () => {
    const other = `${app}-other`
    await rig.ask('POST', '/api/v1/apps', { token: rig.operatorToken, body: { name: other } })
    await change({ set: { A: 'one' } })
    await dataSource.query(`UPDATE app SET data_key = (SELECT data_key FROM app WHERE name = $2) WHERE name = $1`, [
      app,
      other,
    ])
    expect((await values()).json).toMatchObject({ code: 'seal-broken' })
  })

  it('open in a snapshot of their own app only', async () => {
    await change({ set: { A: 'one' } })
    const apps = rig.controller.app.get(AppService)
    const store = rig.controller.app.get(ConfigStore)
    const operator = (await rig.controller.app.get(TokenService).find(rig.operatorToken)) as Principal
    const mine = await apps.findInTeam(operator.teamId, app)
    const snapshot = await store.snapshot(mine)
    await change({ set: { A: 'later' } })
    expect(store.open(mine, snapshot)).toEqual({ A: 'one' })
    const other = await apps.create(`${app}-other`, operator)
    expect(() => store.open(other, snapshot)).toThrow('cannot be opened')
  })

  it('survive ten changes at once, each whole', async () => {
    await Promise.all(Array.from({ length: 10 }, (_, index) => change({ set: { [`V${index}`]: String(index) } })))
    expect(Object.keys((await values()).json as object)).toHaveLength(10)
  })

  it('make one new release of what serves, with the values of now, and a deployment of it', async () => {
    const apps = rig.controller.app.get(AppService)
    const releases = rig.controller.app.get(ReleaseService)
    const operator = (await rig.controller.app.get(TokenService).find(rig.operatorToken)) as Principal
    await change({ set: { A: 'before' } })
    const row = await apps.findInTeam(operator.teamId, app)
    const first = await releases.create({
      app: row,
      image: `sha256:${'a'.repeat(64)}`,
      processTypes: { web: { command: 'node server.js', argv: ['node', 'server.js'] } },
      commit: 'c'.repeat(40),
      description: 'first',
      author: 'test',
    })
    await dataSource.query('UPDATE app SET current_release = 1 WHERE id = $1', [row.id])

    const answer = await change({ set: { A: 'after', B: 'new' } })
    expect(answer.json).toMatchObject({ changed: ['A', 'B'], release: 2, deployment: expect.any(String) as string })
    const second = await releases.find(row, 'v2')
    expect(second).toMatchObject({
      image: first.image,
      commit: first.commit,
      description: 'set A, B',
      author: 'operator',
    })
    const store = rig.controller.app.get(ConfigStore)
    expect(store.open(row, first.config)).toEqual({ A: 'before' })
    expect(store.open(row, second.config)).toEqual({ A: 'after', B: 'new' })

    const meanwhile = await change({ set: { A: 'too soon' } })
    expect(meanwhile.json).toMatchObject({ status: 409, code: 'deployment-active' })
    expect((await values()).json).toEqual({ A: 'after', B: 'new' })
    expect(await releases.list(row.id, 10)).toHaveLength(2)
    const deployment = `/api/v1/apps/${app}/deployments/${(answer.json as { deployment: string }).deployment}`
    expect((await rig.ask('GET', deployment, { token: viewer })).json).toMatchObject({ release: 2, endedAt: null })
  })

  it('open after a restart, and without their keys the controller does not start but says what to restore', async () => {
    await change({ set: { SECRET: CANARY } })
    await rig.restart()
    dataSource = dataSourceOf(rig)
    expect((await values()).json).toEqual({ SECRET: CANARY })
    const keys = join(rig.config.home, 'controller/keys')
    for (const name of readdirSync(keys)) expect(readFileSync(join(keys, name), 'utf8')).not.toContain(CANARY)
    renameSync(keys, `${keys}.away`)
    await expect(rig.restart()).rejects.toMatchObject({ code: 'keys-missing' })
    rmSync(keys, { recursive: true })
    renameSync(`${keys}.away`, keys)
    await rig.restart()
    dataSource = dataSourceOf(rig)
    expect((await values()).json).toEqual({ SECRET: CANARY })
  })
})
