import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { Readable } from 'node:stream'
import type { HttpAdapterHost } from '@nestjs/core'
import { silentLogger, systemClock, type TeamId } from '@croft/kit'
import { fastify, type FastifyInstance } from 'fastify'
import type { DataSource } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AppService } from '../app/app.service.js'
import { AppNotFound } from '../app/errors.js'
import { Keyring } from '../app/keyring.js'
import { Authenticator } from '../auth/authenticator.js'
import type { Principal } from '../auth/principal.js'
import type { Role } from '../auth/roles.js'
import type { TokenService } from '../auth/token.service.js'
import type { ControllerConfig } from '../config.js'
import { BlobStore } from './blob-store.js'
import { ManifestStore } from './manifest-store.js'
import { TeamAccess } from './registry-access.js'
import { RegistryPublicRoutes } from './registry-public.routes.js'

/** The cases of the distribution specification against the registry as container tools see it. */

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
const sha = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const APPS: Record<string, { id: string; team: string }> = {
  shop: { id: '01234567-89ab-7def-8123-456789abcdef', team: 'ours' },
  site: { id: '11234567-89ab-7def-8123-456789abcdef', team: 'ours' },
  foreign: { id: '21234567-89ab-7def-8123-456789abcdef', team: 'theirs' },
}
let home: string
let server: FastifyInstance
let config: ControllerConfig
/** Releases of `shop`: version → image; the last one serves. */
let releases: string[]
let servesSince: Date
let revoked: Set<string>

beforeEach(async () => {
  home = mkdtempSync('/tmp/distribution-')
  config = { home, domain: 'localhost', publicUrl: 'http://localhost:8080' } as ControllerConfig
  releases = []
  servesSince = new Date()
  revoked = new Set()
  const blobs = new BlobStore(config)
  await blobs.onModuleInit()
  const manifests = new ManifestStore(config, blobs)
  const tokens = {
    find: (token: string) => Promise.resolve(revoked.has(token) ? undefined : principalOf(token)),
    byId: (id: string) => Promise.resolve(revoked.has(id) ? undefined : principalOf(id)),
  } as unknown as TokenService
  const apps = {
    findInTeam: (teamId: TeamId, name: string) =>
      APPS[name]?.team === teamId
        ? Promise.resolve({ id: APPS[name].id, name })
        : Promise.reject(new AppNotFound(name)),
  } as unknown as AppService
  Object.assign(apps, {
    list: (teamId: TeamId) =>
      Promise.resolve(Object.entries(APPS).flatMap(([name, { id, team }]) => (team === teamId ? [{ id, name }] : []))),
  })
  const access = new TeamAccess(
    config,
    { query: askReleases } as unknown as DataSource,
    await Keyring.open(home, true),
    new Authenticator(config, tokens),
    tokens,
    apps,
    manifests,
    systemClock,
  )
  server = fastify({ routerOptions: { maxParamLength: 512 } })
  await new RegistryPublicRoutes({} as HttpAdapterHost, blobs, manifests, access, silentLogger).register(server)
  await server.ready()
})
afterEach(async () => {
  await server.close()
  rmSync(home, { recursive: true, force: true })
})

/** `developer@ours` is a token; its text is its id too. */
function principalOf(token: string): Principal | undefined {
  const [role, team] = token.split('@')
  if (team === undefined) return undefined
  return { tokenId: token, teamId: team as TeamId, role: role as Role, name: role ?? '' }
}

/** Answers what `TeamAccess` asks of the database. */
function askReleases(sql: string, [appId, value]: [string, unknown]): Promise<unknown[]> {
  if (appId !== APPS['shop']?.id) return Promise.resolve([])
  const rows = releases.map((image, at) => ({ version: at + 1, image, serves: at + 1 === releases.length }))
  if (sql.includes('version = $2')) return Promise.resolve(rows.filter(({ version }) => version === value))
  if (sql.includes('image = $2')) return Promise.resolve(rows.filter(({ image }) => image === value))
  if (sql.includes('max(')) return Promise.resolve(rows.slice(-1).map(({ image }) => ({ image, since: servesSince })))
  return Promise.resolve(rows)
}

type Method = 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
type Headers = Record<string, string>
const basic = (token: string): string => `Basic ${Buffer.from(`anybody:${token}`).toString('base64')}`
const call = (method: Method, url: string, body?: Buffer | string, headers: Headers = {}) =>
  server.inject({
    method,
    url,
    headers: {
      host: 'localhost:8080',
      'content-type': 'application/octet-stream',
      authorization: basic('developer@ours'),
      ...headers,
    },
    ...(body !== undefined && { payload: Readable.from([Buffer.from(body)]) }),
  })
const codeOf = (answer: { json(): unknown }): string | undefined =>
  (answer.json() as { errors?: { code: string }[] }).errors?.[0]?.code

async function upload(bytes: string, app = 'shop', headers: Headers = {}): Promise<string> {
  const done = await call('POST', `/v2/${app}/blobs/uploads/?digest=${sha(bytes)}`, bytes, headers)
  expect(done.statusCode, done.body).toBe(201)
  return sha(bytes)
}
async function manifestText(more: object = {}, app = 'shop', layer = 'layer'): Promise<string> {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: await upload('{}', app), size: 2 },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: await upload(layer, app), size: 5 }],
    ...more,
  })
}
const put = (reference: string, text: string, type = MANIFEST, app = 'shop') =>
  call('PUT', `/v2/${app}/manifests/${reference}`, text, { 'content-type': type })

describe('whoever has no credentials', () => {
  it.each<[Method, string, string | undefined]>([
    ['GET', '/v2/', undefined],
    ['GET', '/v2/shop/tags/list', 'repository:shop:pull'],
    ['GET', '/v2/foreign/tags/list', 'repository:foreign:pull'],
    ['GET', '/v2/missing/manifests/v1', 'repository:missing:pull'],
    ['POST', '/v2/shop/blobs/uploads/', 'repository:shop:pull,push'],
    ['DELETE', `/v2/shop/manifests/${sha('x')}`, 'repository:shop:delete'],
    ['GET', '/v2/a/b/tags/list', undefined],
    ['GET', '/v2/_catalog', 'registry:catalog:*'],
  ])('is told at %s %s where to get a token for it', async (method, url, scope) => {
    const answer = await call(method, url, undefined, { authorization: '' })
    expect(answer.statusCode).toBe(401)
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer realm="http://localhost:8080/v2/token",service="localhost"${scope === undefined ? '' : `,scope="${scope}"`}`,
    )
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
  })
  it('gets no token', async () => {
    const answer = await call('GET', '/v2/token?scope=repository:shop:pull', undefined, { authorization: '' })
    expect([answer.statusCode, answer.headers['www-authenticate']]).toEqual([401, expect.stringContaining('Basic')])
  })
  it('is told to ask where it came from, and nowhere a stranger names', async () => {
    const from = async (host: string): Promise<unknown> =>
      (await call('GET', '/v2/', undefined, { authorization: '', host })).headers['www-authenticate']
    expect(await from('registry.localhost:9999')).toContain('realm="http://registry.localhost:9999/v2/token"')
    expect(await from('evil.example')).toContain('realm="http://localhost:8080/v2/token"')
  })
})

describe('a token of the registry', () => {
  const token = async (query: string, of = 'developer@ours'): Promise<string> => {
    const answer = await call('GET', `/v2/token?service=localhost&${query}`, undefined, { authorization: basic(of) })
    expect(answer.statusCode, answer.body).toBe(200)
    expect(answer.json()).toMatchObject({ expires_in: 300, access_token: expect.any(String) as string })
    return (answer.json() as { token: string }).token
  }
  const withToken = async (method: Method, url: string, text: string) =>
    call(method, url, undefined, { authorization: `Bearer ${text}` })

  it('is good for what it names, and asks for another one for anything else', async () => {
    const pull = await token('scope=repository:shop:pull')
    expect((await withToken('GET', '/v2/', pull)).statusCode).toBe(200)
    expect((await withToken('GET', '/v2/shop/tags/list', pull)).statusCode).toBe(200)
    const push = await withToken('POST', '/v2/shop/blobs/uploads/', pull)
    expect([push.statusCode, push.headers['www-authenticate']]).toEqual([
      401,
      expect.stringMatching(/scope="repository:shop:pull,push",error="insufficient_scope"$/),
    ])
    expect((await withToken('GET', '/v2/site/tags/list', pull)).statusCode).toBe(401)
  })
  it('names only what the role allows: a viewer does not push', async () => {
    const text = await token('scope=repository:shop:pull,push', 'viewer@ours')
    expect((await withToken('GET', '/v2/shop/tags/list', text)).statusCode).toBe(200)
    const push = await withToken('POST', '/v2/shop/blobs/uploads/', text)
    expect([push.statusCode, codeOf(push)]).toEqual([403, 'DENIED'])
  })
  it('names no app of another team, which is the same as a missing one', async () => {
    const text = await token('scope=repository:foreign:pull&scope=repository:missing:pull')
    for (const app of ['foreign', 'missing']) {
      const answer = await withToken('GET', `/v2/${app}/tags/list`, text)
      expect([answer.statusCode, codeOf(answer)]).toEqual([404, 'NAME_UNKNOWN'])
    }
  })
  it('lists the repositories where it was asked to, and no others than the team’s', async () => {
    await put('one', await manifestText())
    const catalog = await token('scope=registry:catalog:*', 'viewer@ours')
    expect((await withToken('GET', '/v2/_catalog', catalog)).json()).toEqual({ repositories: ['shop'] })
    expect((await withToken('GET', '/v2/shop/tags/list', catalog)).statusCode).toBe(401)
    const refused = await withToken('GET', '/v2/_catalog', await token('scope=repository:shop:pull'))
    expect([refused.statusCode, refused.headers['www-authenticate']]).toEqual([
      401,
      expect.stringMatching(/scope="registry:catalog:\*",error="insufficient_scope"$/),
    ])
    const others = await withToken('GET', '/v2/_catalog', await token('scope=registry:catalog:*', 'viewer@theirs'))
    expect(others.json()).toEqual({ repositories: [] })
  })
  it('ends with the token it was got with', async () => {
    const text = await token('scope=repository:shop:pull')
    revoked.add('developer@ours')
    expect((await withToken('GET', '/v2/shop/tags/list', text)).statusCode).toBe(401)
  })
})

describe('uploads', () => {
  it.each<[string, () => Promise<number[]>]>([
    [
      'in one request',
      async () => [(await call('POST', `/v2/shop/blobs/uploads/?digest=${sha('hello')}`, 'hello')).statusCode],
    ],
    [
      'in a request after its beginning',
      async () => {
        const { location } = (await call('POST', '/v2/shop/blobs/uploads/')).headers
        return [(await call('PUT', `${location}?digest=${sha('hello')}`, 'hello')).statusCode]
      },
    ],
    [
      'as a stream, then its end',
      async () => {
        const { location } = (await call('POST', '/v2/shop/blobs/uploads/')).headers
        const streamed = await call('PATCH', String(location), 'hello')
        return [streamed.statusCode - 1, (await call('PUT', `${location}?digest=${sha('hello')}`)).statusCode]
      },
    ],
    [
      'in pieces, the last one with its end',
      async () => {
        const { location } = (await call('POST', '/v2/shop/blobs/uploads/')).headers
        const first = await call('PATCH', String(location), 'hel', { 'content-range': '0-2' })
        const end = await call('PUT', `${location}?digest=${sha('hello')}`, 'lo', { 'content-range': '3-4' })
        return [first.statusCode - 1, end.statusCode]
      },
    ],
  ])('%s give a blob', async (_how, run) => {
    expect(new Set(await run())).toEqual(new Set([201]))
    const got = await call('GET', `/v2/shop/blobs/${sha('hello')}`)
    expect([got.statusCode, got.body, got.headers['docker-content-digest']]).toEqual([200, 'hello', sha('hello')])
    expect((await call('HEAD', `/v2/shop/blobs/${sha('hello')}`)).headers['content-length']).toBe('5')
  })
  it('say how far they are, refuse a piece out of order, and are gone when canceled', async () => {
    const { location } = (await call('POST', '/v2/shop/blobs/uploads/')).headers
    const path = String(location)
    await call('PATCH', path, 'hel', { 'content-range': '0-2' })
    const state = await call('GET', path)
    expect([state.statusCode, state.headers.range, state.headers.location]).toEqual([204, '0-2', path])
    const gap = await call('PATCH', path, 'x', { 'content-range': '9-9' })
    expect([gap.statusCode, codeOf(gap)]).toEqual([416, 'BLOB_UPLOAD_INVALID'])
    expect((await call('PUT', `${path}?digest=${sha('x')}`, 'x', { 'content-range': '9-9' })).statusCode).toBe(416)
    expect((await call('DELETE', path)).statusCode).toBe(204)
    expect((await call('GET', path)).statusCode).toBe(404)
  })
  it('belong to their repository', async () => {
    const { location } = (await call('POST', '/v2/shop/blobs/uploads/')).headers
    const other = String(location).replace('/shop/', '/site/')
    for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
      expect((await call(method, other)).statusCode, method).toBe(404)
    }
    expect((await call('PUT', `${other}?digest=${sha('')}`)).statusCode).toBe(404)
    expect((await call('GET', String(location))).statusCode).toBe(204)
  })
  it.each([
    ['another digest than the bytes have', `?digest=${sha('other')}`, 'DIGEST_INVALID'],
    ['no digest', '', 'DIGEST_INVALID'],
    ['a digest of another kind', `?digest=sha512:${'0'.repeat(128)}`, 'DIGEST_INVALID'],
  ])('that end with %s leave nothing', async (_what, query, code) => {
    const { location } = (await call('POST', '/v2/shop/blobs/uploads/')).headers
    const answer = await call('PUT', `${location}${query}`, 'hello')
    expect([answer.statusCode, codeOf(answer)]).toEqual([400, code])
    expect((await call('HEAD', `/v2/shop/blobs/${sha('hello')}`)).statusCode).toBe(404)
  })
})

describe('a blob', () => {
  it('is read from its repository alone, and mounted from what the token may pull', async () => {
    const digest = await upload('secret layer')
    expect((await call('GET', `/v2/site/blobs/${digest}`)).statusCode).toBe(404)
    const mount = await call('POST', `/v2/site/blobs/uploads/?mount=${digest}&from=shop`)
    expect([mount.statusCode, mount.headers.location]).toEqual([201, `/v2/site/blobs/${digest}`])
    expect((await call('GET', `/v2/site/blobs/${digest}`)).body).toBe('secret layer')
  })
  it('of another team cannot be had: by its digest, by a mount, or through a manifest that names it', async () => {
    const theirs = { authorization: basic('developer@theirs') }
    const digest = await upload('their layer', 'foreign', theirs)
    expect((await call('GET', `/v2/shop/blobs/${digest}`)).statusCode).toBe(404)
    for (const from of ['foreign', 'missing']) {
      const mount = await call('POST', `/v2/shop/blobs/uploads/?mount=${digest}&from=${from}`)
      expect(mount.statusCode, from).toBe(202) // an upload begins instead
    }
    const text = (await manifestText()).replace(sha('layer'), digest)
    expect(codeOf(await put('mine', text))).toBe('MANIFEST_BLOB_UNKNOWN')
    expect((await call('GET', `/v2/shop/blobs/${digest}`)).statusCode).toBe(404)
  })
  it.each([
    ['bytes=1-3', 206, 'ell', 'bytes 1-3/5'],
    ['bytes=2-', 206, 'llo', 'bytes 2-4/5'],
    ['bytes=0-99', 206, 'hello', 'bytes 0-4/5'],
    ['bytes=0-0', 206, 'h', 'bytes 0-0/5'],
    ['bytes=5-', 416, undefined, undefined],
    ['lines=1-2', 200, 'hello', undefined],
    ['bytes=0-1,3-4', 200, 'hello', undefined],
  ])('is given in part: %s', async (range, status, body, contentRange) => {
    const answer = await call('GET', `/v2/shop/blobs/${await upload('hello')}`, undefined, { range })
    expect([answer.statusCode, answer.headers['content-range']]).toEqual([status, contentRange])
    if (body !== undefined) expect(answer.body).toBe(body)
  })
  it('is deleted unless a manifest needs it', async () => {
    const text = await manifestText()
    await put('one', text)
    expect(codeOf(await call('DELETE', `/v2/shop/blobs/${sha('layer')}`))).toBe('DENIED')
    expect((await call('DELETE', `/v2/shop/manifests/${sha(text)}`)).statusCode).toBe(202)
    expect((await call('DELETE', `/v2/shop/blobs/${sha('layer')}`)).statusCode).toBe(202)
    expect((await call('GET', `/v2/shop/blobs/${sha('layer')}`)).statusCode).toBe(404)
    expect((await call('DELETE', `/v2/shop/blobs/${sha('layer')}`)).statusCode).toBe(404)
  })
})

describe('a manifest', () => {
  it.each([MANIFEST, DOCKER])('of type %s is found by tag and digest as it was sent', async (type) => {
    const text = await manifestText({ mediaType: type })
    const sent = await put('one', text, type)
    expect([sent.statusCode, sent.headers.location]).toEqual([201, `/v2/shop/manifests/${sha(text)}`])
    for (const reference of ['one', sha(text)]) {
      const got = await call('GET', `/v2/shop/manifests/${reference}`)
      expect([got.statusCode, got.body, got.headers['content-type']]).toEqual([200, text, type])
      const head = await call('HEAD', `/v2/shop/manifests/${reference}`)
      expect([head.headers['docker-content-digest'], head.headers['content-length']]).toEqual([
        sha(text),
        String(text.length),
      ])
    }
  })
  it('may list others that are here, one for each platform', async () => {
    const text = await manifestText()
    const list = (digest: string): string =>
      JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [{ mediaType: MANIFEST, digest, size: 1 }] })
    expect(codeOf(await put('all', list(sha(text)), INDEX))).toBe('MANIFEST_BLOB_UNKNOWN')
    await put(sha(text), text)
    expect((await put('all', list(sha(text)), INDEX)).statusCode).toBe(201)
    expect((await call('GET', '/v2/shop/manifests/all')).headers['content-type']).toBe(INDEX)
  })
  it.each<[string, string, (text: string) => string, string]>([
    ['that is no JSON', MANIFEST, () => '{', 'MANIFEST_INVALID'],
    ['of a type nobody knows', 'application/json', (text) => text, 'MANIFEST_INVALID'],
    ['that says it is something else', DOCKER, (text) => text, 'MANIFEST_INVALID'],
    ['that is an index too', MANIFEST, (text) => text.replace('{', '{"manifests":[],'), 'MANIFEST_INVALID'],
    ['whose digest is none', MANIFEST, (text) => text.replace(sha('layer'), 'sha256:../..'), 'MANIFEST_INVALID'],
    ['whose layer is missing', MANIFEST, (text) => text.replace(sha('layer'), sha('no')), 'MANIFEST_BLOB_UNKNOWN'],
  ])('%s is refused', async (_what, type, change, code) => {
    expect(codeOf(await put('bad', change(await manifestText()), type))).toBe(code)
    expect((await call('GET', '/v2/shop/manifests/bad')).statusCode).toBe(404)
  })
  it.each([
    [`/v2/shop/manifests/${sha('other')}`, 'DIGEST_INVALID'],
    ['/v2/shop/manifests/-tag', 'TAG_INVALID'],
    [`/v2/shop/manifests/${'t'.repeat(129)}`, 'TAG_INVALID'],
    ['/v2/shop/manifests/v7', 'DENIED'],
  ])('sent to %s is refused', async (url, code) => {
    const answer = await call('PUT', url, await manifestText(), { 'content-type': MANIFEST })
    expect(codeOf(answer)).toBe(code)
  })
  it('loses a tag, or goes with all its tags', async () => {
    const text = await manifestText()
    for (const tag of ['one', 'two']) await put(tag, text)
    expect((await call('DELETE', '/v2/shop/manifests/one')).statusCode).toBe(202)
    expect((await call('GET', '/v2/shop/manifests/one')).statusCode).toBe(404)
    expect((await call('GET', '/v2/shop/manifests/two')).statusCode).toBe(200)
    expect((await call('DELETE', `/v2/shop/manifests/${sha(text)}`)).statusCode).toBe(202)
    expect((await call('GET', '/v2/shop/manifests/two')).statusCode).toBe(404)
    expect((await call('DELETE', `/v2/shop/manifests/${sha(text)}`)).statusCode).toBe(404)
  })
})

describe('the catalog', () => {
  it('has the repositories that hold anything, in pages and in order', async () => {
    const list = async (query: string) => {
      const answer = await call('GET', `/v2/_catalog${query}`)
      return [answer.statusCode, answer.json<{ repositories?: string[] }>().repositories, answer.headers.link]
    }
    expect(await list('')).toEqual([200, [], undefined])
    await put('one', await manifestText({}, 'site'), MANIFEST, 'site')
    await put('one', await manifestText())
    expect(await list('')).toEqual([200, ['shop', 'site'], undefined])
    expect(await list('?n=1')).toEqual([200, ['shop'], '</v2/_catalog?n=1&last=shop>; rel="next"'])
    expect(await list('?n=1&last=shop')).toEqual([200, ['site'], undefined])
    expect(await list('?last=site')).toEqual([200, [], undefined])
    expect((await list('?n=all'))[0]).toBe(400)
  })
})

describe('tags', () => {
  it('come in pages, in order', async () => {
    const text = await manifestText()
    for (const tag of ['c', 'a', 'b', 'd']) await put(tag, text)
    const list = async (query: string): Promise<unknown> => (await call('GET', `/v2/shop/tags/list${query}`)).json()
    expect(await list('')).toEqual({ name: 'shop', tags: ['a', 'b', 'c', 'd'] })
    const page = await call('GET', '/v2/shop/tags/list?n=2')
    expect(page.json()).toEqual({ name: 'shop', tags: ['a', 'b'] })
    const next = /^<(.*)>; rel="next"$/.exec(String(page.headers.link))?.[1] ?? ''
    const second = await call('GET', next)
    expect([second.json(), second.headers.link]).toEqual([{ name: 'shop', tags: ['c', 'd'] }, undefined])
    expect(await list('?n=0')).toEqual({ name: 'shop', tags: [] })
    expect(await list('?n=x')).toMatchObject({ errors: [{ code: 'PAGINATION_NUMBER_INVALID' }] })
    expect((await call('GET', '/v2/site/tags/list')).json()).toEqual({ name: 'site', tags: [] })
  })
  it('v<N> and latest follow from releases, and their images stay', async () => {
    const [one, two] = [await manifestText(), await manifestText({}, 'shop', 'changed')]
    for (const text of [one, two]) await put(sha(text), text)
    releases = [sha(one), sha(two)]
    const digestAt = async (tag: string): Promise<unknown> =>
      (await call('HEAD', `/v2/shop/manifests/${tag}`)).headers['docker-content-digest']
    expect([await digestAt('v1'), await digestAt('v2'), await digestAt('latest')]).toEqual([
      sha(one),
      sha(two),
      sha(two),
    ])
    expect(await digestAt('v3')).toBeUndefined()
    expect((await call('GET', '/v2/shop/tags/list')).json()).toMatchObject({ tags: ['latest', 'v1', 'v2'] })
    expect(codeOf(await call('DELETE', `/v2/shop/manifests/${sha(one)}`))).toBe('DENIED')
    expect(codeOf(await call('DELETE', '/v2/shop/manifests/v1'))).toBe('DENIED')
  })
  it('latest is what was pushed to it until the next release serves', async () => {
    const [one, two] = [await manifestText(), await manifestText({}, 'shop', 'changed')]
    await put(sha(one), one)
    releases = [sha(one)]
    servesSince = new Date(Date.now() - 60_000)
    expect((await put('latest', two)).statusCode).toBe(201)
    expect((await call('GET', '/v2/shop/manifests/latest')).body).toBe(two)
    servesSince = new Date(Date.now() + 60_000)
    expect((await call('GET', '/v2/shop/manifests/latest')).body).toBe(one)
  })
})

describe('referrers', () => {
  it('are the manifests about another one, by type when asked, also before that one is there', async () => {
    const subject = { mediaType: MANIFEST, digest: sha('the subject'), size: 11 }
    const signature = await manifestText({ subject, artifactType: 'application/x.signature', annotations: { a: 'b' } })
    const list = await manifestText({ subject }, 'shop', 'sbom')
    expect((await put(sha(signature), signature)).headers['oci-subject']).toBe(subject.digest)
    await put(sha(list), list)
    const all = await call('GET', `/v2/shop/referrers/${subject.digest}`)
    expect([
      all.statusCode,
      all.headers['content-type'],
      all.json<{ manifests: unknown[] }>().manifests.length,
    ]).toEqual([200, INDEX, 2])
    const some = await call('GET', `/v2/shop/referrers/${subject.digest}?artifactType=application/x.signature`)
    expect(some.headers['oci-filters-applied']).toBe('artifactType')
    expect(some.json<{ manifests: unknown[] }>().manifests).toEqual([
      {
        mediaType: MANIFEST,
        digest: sha(signature),
        size: signature.length,
        artifactType: 'application/x.signature',
        annotations: { a: 'b' },
      },
    ])
    await call('DELETE', `/v2/shop/manifests/${sha(list)}`)
    const left = await call('GET', `/v2/shop/referrers/${subject.digest}`)
    expect(left.json<{ manifests: unknown[] }>().manifests).toHaveLength(1)
  })
  it('of what nobody refers to are none', async () => {
    const none = await call('GET', `/v2/shop/referrers/${sha('nobody')}`)
    expect([none.statusCode, none.json<{ manifests: unknown[] }>().manifests]).toEqual([200, []])
    expect((await call('GET', '/v2/shop/referrers/latest')).statusCode).toBe(400)
  })
})

describe('a path that is none', () => {
  it.each<[Method, string]>([
    ['GET', '/v2/a/b/manifests/latest'],
    ['POST', '/v2/library/shop/blobs/uploads/'],
    ['GET', '/v2/shop'],
    ['GET', '/v2/_catalog/more'],
    ['PUT', '/v2/shop/blobs/uploads/../../x'],
  ])('%s %s answers in the specification’s shape', async (method, url) => {
    const answer = await call(method, url)
    expect([404, 400, 405]).toContain(answer.statusCode)
    expect(codeOf(answer)).toBeDefined()
  })
})
