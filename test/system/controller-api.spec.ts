import {
  AppService,
  PolicyCheck,
  ROLES,
  TokenService,
  type PolicedRoute,
  type Principal,
  type Role,
} from '@croft/controller'
import type { TeamId } from '@croft/kit'
import type { DataSource } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controllerRig, type Answer, type ControllerRig } from './support/controller-rig.js'
import { dataSourceOf } from './support/data-source-of.js'

/** Bodies and queries with which a route gets past its validation; `{}` where none is named. */
const BODIES: Record<string, unknown> = {
  'ImageDeployController.deploy': { image: 'localhost:1/app' },
  'AppController.create': { name: 'matrix-app' },
  'AppController.change': { graceMs: 1_000 },
  'ConfigController.change': { set: { MATRIX: '1' } },
  'FormationController.scale': { web: 1 },
}
const QUERIES: Record<string, string> = { 'AppController.destroy': '?confirm=no-app-is-named-so' }
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH']
const NO_ROW = '00000000-0000-4000-8000-000000000000'

/** The same for every request but for what names the request or the app in it. */
function impersonal(answer: Answer, app: string): string {
  const text = answer.text.replaceAll(app, 'APP').replace(/"requestId":"[^"]+"/, '"requestId":"ID"')
  const { 'content-length': _length, 'x-request-id': _id, date: _date, ...headers } = answer.headers
  return JSON.stringify([answer.status, headers, text])
}

describe('the API of a controller', () => {
  let rig: ControllerRig
  let dataSource: DataSource
  const tokens: Record<string, string> = {}
  let operator: Principal
  beforeAll(async () => {
    rig = await controllerRig()
    dataSource = dataSourceOf(rig)
    const issue = rig.controller.app.get(TokenService)
    const found = await issue.find(rig.operatorToken)
    if (found === undefined) throw new Error('the operator has no token')
    operator = found
    const [other] = await dataSource.query<{ id: TeamId }[]>(`INSERT INTO team (name) VALUES ('other') RETURNING id`)
    const otherTeam = other?.id ?? operator.teamId
    for (const role of ['owner', 'developer', 'viewer', 'machine'] as const) {
      tokens[role] = (await issue.create({ teamId: operator.teamId, role, description: role })).token
    }
    const stranger = await issue.create({ teamId: otherTeam, role: 'owner', description: 'stranger' })
    const expired = await issue.create({
      teamId: operator.teamId,
      role: 'owner',
      description: 'expired',
      expiresAt: new Date(Date.now() - 1_000),
    })
    const revoked = await issue.create({ teamId: operator.teamId, role: 'owner', description: 'revoked' })
    await issue.revoke(operator.teamId, revoked.id)
    Object.assign(tokens, {
      operator: rig.operatorToken,
      stranger: stranger.token,
      expired: expired.token,
      revoked: revoked.token,
      garbage: 'croft_garbage',
    })
    const apps = rig.controller.app.get(AppService)
    const strangerPrincipal = await issue.find(stranger.token)
    if (strangerPrincipal === undefined) throw new Error('the stranger has no token')
    await apps.create('own-app', operator)
    await apps.create('their-app', strangerPrincipal)
    await apps.create('gone-app', operator)
    await apps.destroy(operator, 'gone-app', 'gone-app')
  })
  afterAll(() => rig?.close())

  const routes = (): PolicedRoute[] =>
    rig.controller.app
      .get(PolicyCheck)
      .routes()
      .filter((route) => route.path.startsWith('/api/v1/'))
  const send = (route: PolicedRoute, app: string, token: string | undefined): Promise<Answer> =>
    rig.ask(
      METHODS[route.method] ?? 'GET',
      route.path.replace(':app', app).replace(':release', '999').replace(/:\w+/g, NO_ROW) + (QUERIES[route.name] ?? ''),
      { token, ...(METHODS[route.method] !== 'GET' && { body: BODIES[route.name] ?? {} }) },
    )

  it('has routes for everything the verbs ask', () => {
    const paths = new Set(routes().map((route) => `${METHODS[route.method]} ${route.path}`))
    expect([...paths]).toEqual(
      expect.arrayContaining([
        'GET /api/v1/apps',
        'POST /api/v1/apps',
        'GET /api/v1/apps/:app',
        'PATCH /api/v1/apps/:app',
        'DELETE /api/v1/apps/:app',
        'GET /api/v1/health',
        'GET /api/v1/openapi.json',
      ]),
    )
  })

  it.each(['nobody', 'expired', 'revoked', 'garbage'])(
    'answers 401 on every route to %s, whatever the app',
    async (who) => {
      for (const route of routes().filter((of) => of.policy !== 'public')) {
        const answers = await Promise.all(
          ['own-app', 'their-app', 'no-such-app'].map(async (app) =>
            impersonal(await send(route, app, tokens[who]), app),
          ),
        )
        expect(answers[0], route.name).toContain('"code\\":\\"unauthenticated\\"')
        expect(new Set(answers).size, route.name).toBe(1)
      }
    },
  )

  it.each(['operator', 'owner', 'developer', 'viewer', 'machine'] as Role[])(
    'lets a token of role %s do what the role may, and answers 403 to the rest before any app is looked up',
    async (role) => {
      for (const route of routes().filter((of) => of.policy !== 'public' && of.policy !== 'signed-in')) {
        const isAllowed = (ROLES[role] as readonly string[]).includes(route.policy ?? '')
        const answers = await Promise.all(
          ['own-app', 'their-app', 'no-such-app'].map((app) => send(route, app, tokens[role])),
        )
        const [own, theirs, missing] = answers
        const name = `${role} ${route.name}`
        if (isAllowed) expect([401, 403, 500], `${name}: ${own?.text}`).not.toContain(own?.status)
        else
          expect(
            answers.map((answer) => answer.status),
            name,
          ).toEqual([403, 403, 403])
        if (theirs === undefined || missing === undefined) throw new Error('no answer')
        if (!route.path.includes(':app')) continue
        expect(impersonal(theirs, 'their-app'), name).toBe(impersonal(missing, 'no-such-app'))
      }
    },
  )

  it('answers for an app of another team and for a destroyed one byte for byte as for a missing one', async () => {
    for (const route of routes().filter((of) => of.path.includes(':app'))) {
      const cases = [
        [tokens['stranger'], 'own-app'],
        [tokens['owner'], 'their-app'],
        [tokens['owner'], 'gone-app'],
        [tokens['owner'], 'no-such-app'],
        [tokens['owner'], '-'],
      ] as const
      const answers = await Promise.all(
        cases.map(async ([token, app]) => impersonal(await send(route, app, token), app === '-' ? '"-"' : app)),
      )
      expect(new Set(answers.slice(0, 4)).size, route.name).toBe(1)
      expect(answers[0], route.name).toContain('"code\\":\\"app-not-found\\"')
    }
  })

  it('lists only the apps of the team of whoever asks', async () => {
    const names = async (who: string): Promise<unknown> =>
      ((await rig.ask('GET', '/api/v1/apps', { token: tokens[who] })).json as { name: string }[]).map((app) => app.name)
    expect(await names('viewer')).toContain('own-app')
    expect(await names('viewer')).not.toContain('their-app')
    expect(await names('stranger')).toEqual(['their-app'])
  })

  it('gives one answer for a name that is taken, taken by another team, reserved, or in quarantine', async () => {
    const answer = async (name: string, who: string): Promise<string> =>
      impersonal(await rig.ask('POST', '/api/v1/apps', { token: tokens[who], body: { name } }), name)
    const answers = await Promise.all([
      answer('own-app', 'owner'),
      answer('their-app', 'owner'),
      answer('registry', 'owner'),
      answer('gone-app', 'stranger'),
    ])
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toContain('name-unavailable')
  })

  it('lets the own team take the name of its destroyed app again, and another team after the quarantine', async () => {
    const create = (name: string, who: string): Promise<Answer> =>
      rig.ask('POST', '/api/v1/apps', { token: tokens[who], body: { name } })
    const destroy = (name: string, who: string): Promise<Answer> =>
      rig.ask('DELETE', `/api/v1/apps/${name}?confirm=${name}`, { token: tokens[who] })
    expect((await create('phoenix', 'owner')).status).toBe(201)
    expect((await destroy('phoenix', 'owner')).status).toBe(204)
    expect((await create('phoenix', 'owner')).status).toBe(201)
    expect((await destroy('phoenix', 'owner')).status).toBe(204)
    expect((await create('phoenix', 'stranger')).status).toBe(409)
    await dataSource.query(`UPDATE app SET destroyed_at = now() - interval '31 days' WHERE name = 'phoenix'`)
    expect((await create('phoenix', 'stranger')).status).toBe(201)
  })

  it('makes one app of ten creates at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        rig.ask('POST', '/api/v1/apps', {
          token: tokens[index % 2 === 0 ? 'owner' : 'stranger'],
          body: { name: 'race-app' },
        }),
      ),
    )
    expect(answers.map((answer) => answer.status).toSorted((a, b) => a - b)).toEqual([
      201,
      ...Array<number>(9).fill(409),
    ])
  })

  it('does not destroy an app whose name is not confirmed', async () => {
    const answer = await rig.ask('DELETE', '/api/v1/apps/own-app', { token: tokens['owner'] })
    expect(answer.json).toMatchObject({ status: 400, code: 'not-confirmed', fields: { confirm: 'must be own-app' } })
    expect((await rig.ask('GET', '/api/v1/apps/own-app', { token: tokens['owner'] })).status).toBe(200)
  })

  it('ends the right of a token within its next request', async () => {
    const issue = rig.controller.app.get(TokenService)
    const { id, token } = await issue.create({ teamId: operator.teamId, role: 'viewer', description: 'short' })
    expect((await rig.ask('GET', '/api/v1/apps', { token })).status).toBe(200)
    await issue.revoke(operator.teamId, id)
    expect((await rig.ask('GET', '/api/v1/apps', { token })).status).toBe(401)
  })

  it('remembers when a token was used', async () => {
    await rig.ask('GET', '/api/v1/apps', { token: tokens['machine'] })
    const rows = await dataSource.query<{ used: boolean }[]>(
      `SELECT last_used_at IS NOT NULL AS used FROM token WHERE description = 'machine'`,
    )
    expect(rows).toEqual([{ used: true }])
  })

  it('takes a token as the password of Basic, for git', async () => {
    const basic = `Basic ${Buffer.from(`git:${tokens['viewer']}`).toString('base64')}`
    expect((await rig.ask('GET', '/api/v1/apps', { headers: { authorization: basic } })).status).toBe(200)
  })

  it('names what is wrong with a body, a query or JSON, as a problem with an id', async () => {
    const wrong = await rig.ask('POST', '/api/v1/apps', { token: tokens['owner'], body: { name: 5, more: 1 } })
    expect(wrong.status).toBe(400)
    expect(wrong.headers['content-type']).toContain('application/problem+json')
    expect(wrong.json).toMatchObject({ code: 'bad-input', fields: { name: expect.any(String) as string } })
    expect((wrong.json as { requestId: string }).requestId).toBe(wrong.headers['x-request-id'])
    const nothing = await rig.ask('GET', '/api/v1/nothing-here')
    expect(nothing.json).toMatchObject({ status: 404, code: 'not-found' })
  })

  it('keeps how builds reach package registries, until it is taken back, and no password', async () => {
    const change = (body: object): Promise<Answer> =>
      rig.ask('PATCH', '/api/v1/settings', { token: rig.operatorToken, body })
    const set = await change({ npmRegistry: 'https://npm.corp/', noProxy: '.corp' })
    expect(set.json).toMatchObject({
      npmRegistry: 'https://npm.corp/',
      noProxy: '.corp',
      proxy: null,
      appsPerTeam: 100,
    })
    const refused = await change({ pypiIndex: 'https://me:secret@pypi.corp/' })
    expect(refused.status).toBe(400)
    expect(refused.json).toMatchObject({ fields: { pypiIndex: expect.stringContaining('password') as string } })
    const sources = await change({ buildpackSources: ['https://git.corp/packs/', 'git.corp'] })
    expect(sources.status).toBe(400)
    expect(JSON.stringify(sources.json)).toContain('git.corp is no address')
    expect((await change({ buildpackSources: [] })).json).toMatchObject({ buildpackSources: [] })
    expect((await change({ buildpackSources: ['https://'] })).status).toBe(200)
    const targets = await change({ egress: ['git.corp:443', 'git.corp'] })
    expect(targets.status).toBe(400)
    expect(JSON.stringify(targets.json)).toContain('git.corp is no target: write it as HOST:PORT')
    expect((await change({ egress: ['git.corp:443'] })).json).toMatchObject({ egress: ['git.corp:443'] })
    expect((await change({ egress: [] })).json).toMatchObject({ egress: [] })
    expect((await change({ npmRegistry: null, noProxy: null })).json).toMatchObject({
      npmRegistry: null,
      noProxy: null,
    })
  })

  it('keeps the id the router gave a request, and makes its own of one that is not well-formed', async () => {
    const asked = async (id: string): Promise<unknown> =>
      (await rig.ask('GET', '/api/v1/health', { headers: { 'x-request-id': id } })).headers['x-request-id']
    expect(await asked('5f0c1d2e-aaaa-bbbb-cccc-000000000000')).toBe('5f0c1d2e-aaaa-bbbb-cccc-000000000000')
    expect(await asked('"><script>')).toMatch(/^[0-9a-f]{20}$/)
  })

  it('describes every route with its policy in OpenAPI', async () => {
    const document = (await rig.ask('GET', '/api/v1/openapi.json')).json as {
      paths: Record<string, Record<string, { 'x-croft-policy': string }>>
    }
    for (const route of routes()) {
      const path = route.path.replace(/:(\w+)/g, '{$1}')
      expect(document.paths[path]?.[(METHODS[route.method] ?? '').toLowerCase()]?.['x-croft-policy'], path).toBe(
        route.policy,
      )
    }
  })

  it('says which part is missing while it is not ready', async () => {
    const health = await rig.ask('GET', '/api/v1/health')
    expect(health.status).toBe(503)
    expect(health.json).toMatchObject({
      ready: false,
      checks: expect.arrayContaining([
        { name: 'database', ok: true, detail: null },
        { name: 'redis', ok: true, detail: null },
        { name: 'node', ok: false, detail: 'no executor has reported yet' },
      ]) as unknown[],
    })
  })
})

describe('credentials on a platform with a domain', () => {
  let rig: ControllerRig
  beforeAll(async () => {
    rig = await controllerRig({ domain: 'apps.example.org', publicUrl: 'http://apps.example.org:8080' })
  })
  afterAll(() => rig?.close())

  it.each([
    ['plain HTTP from another machine', { 'x-forwarded-proto': 'http', 'x-forwarded-for': '203.0.113.9' }, 403],
    ['HTTPS from another machine', { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.9' }, 200],
    ['plain HTTP from the host itself', { 'x-forwarded-proto': 'http', 'x-forwarded-for': '127.0.0.1' }, 200],
  ])('over %s are answered %s with status %i', async (_what, headers, status) => {
    const answer = await rig.ask('GET', '/api/v1/apps', { token: rig.operatorToken, headers })
    expect(answer.status).toBe(status)
    if (status === 403) expect(answer.json).toMatchObject({ code: 'plain-http' })
  })

  it('are not even asked for over plain HTTP from another machine: git would send them', async () => {
    const headers = { 'x-forwarded-proto': 'http', 'x-forwarded-for': '203.0.113.9' }
    const answer = await rig.ask('GET', '/api/v1/apps', { headers })
    expect(answer.status).toBe(403)
    expect(answer.headers['www-authenticate']).toBeUndefined()
  })

  it('change with the operator token of the home: the older one is no longer valid', async () => {
    const headers = { 'x-forwarded-for': '127.0.0.1' }
    const { createHash } = await import('node:crypto')
    await rig.restart({ operatorTokenSha256: createHash('sha256').update('croft_new').digest('hex') })
    expect((await rig.ask('GET', '/api/v1/apps', { token: rig.operatorToken, headers })).status).toBe(401)
    expect((await rig.ask('GET', '/api/v1/apps', { token: 'croft_new', headers })).status).toBe(200)
  })
})
