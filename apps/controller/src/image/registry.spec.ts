import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { Readable } from 'node:stream'
import { parseDigest, silentLogger } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ControllerConfig } from '../config.js'
import { InternalServer } from '../http/internal-server.js'
import { BlobStore } from './blob-store.js'
import { ManifestStore } from './manifest-store.js'
import { RegistryNodeRoutes } from './registry-node.routes.js'

const APP = '01234567-89ab-7def-8123-456789abcdef'
const TYPE = 'application/vnd.oci.image.manifest.v1+json'
const sha = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
let home = ''
let server: InternalServer
beforeEach(async () => {
  home = mkdtempSync('/tmp/push-registry-')
  const config = { home } as ControllerConfig
  server = new InternalServer('node', `${home}/node.sock`, silentLogger)
  const blobs = new BlobStore(config)
  await blobs.onModuleInit()
  await new RegistryNodeRoutes(server, blobs, new ManifestStore(config, blobs)).onModuleInit()
  await server.fastify.ready()
})
afterEach(async () => {
  await server.close()
  rmSync(home, { recursive: true, force: true })
})

type Method = 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
const call = (method: Method, url: string, body?: Buffer | string, headers: Record<string, string> = {}) =>
  server.fastify.inject({
    method,
    url,
    headers: { 'content-type': 'application/octet-stream', ...headers },
    ...(body !== undefined && { payload: Readable.from([Buffer.from(body)]) }),
  })

async function upload(bytes: string): Promise<string> {
  const begun = await call('POST', `/v2/${APP}/blobs/uploads/`)
  expect(begun.statusCode).toBe(202)
  const done = await call('PUT', `${begun.headers.location}?digest=${sha(bytes)}`, bytes)
  expect(done.statusCode, done.body).toBe(201)
  return sha(bytes)
}

const manifest = (config: string, layer: string, more = {}): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: TYPE,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size: 2 },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd', digest: layer, size: 5 }],
    ...more,
  })

describe('blobs', () => {
  it('that are elsewhere are asked for there when somebody reads them, and not before', async () => {
    const blobs = new BlobStore({ home } as ControllerConfig)
    let asked = 0
    const read = (): Promise<never> => {
      asked += 1
      return Promise.reject(new Error('away'))
    }
    blobs.elsewhere = { size: async () => 1, read }
    const unread = blobs.read(parseDigest(sha('x')))
    unread.destroy()
    await once(unread, 'close')
    expect(asked).toBe(0)
    await expect(blobs.bytes(parseDigest(sha('x')))).rejects.toThrow('away')
  })
  it('are there once they were uploaded, whole or as a range', async () => {
    const digest = await upload('hello')
    const head = await call('HEAD', `/v2/${APP}/blobs/${digest}`)
    expect([head.statusCode, head.headers['content-length']]).toEqual([200, '5'])
    expect((await call('GET', `/v2/${APP}/blobs/${digest}`)).body).toBe('hello')
    const range = await call('GET', `/v2/${APP}/blobs/${digest}`, undefined, { range: 'bytes=1-3' })
    expect([range.statusCode, range.body, range.headers['content-range']]).toEqual([206, 'ell', 'bytes 1-3/5'])
    const beyond = await call('GET', `/v2/${APP}/blobs/${digest}`, undefined, { range: 'bytes=9-' })
    expect(beyond.statusCode).toBe(416)
  })
  it('come in pieces too, each where the last one ended', async () => {
    const { location } = (await call('POST', `/v2/${APP}/blobs/uploads/`)).headers
    const first = await call('PATCH', String(location), 'hel', { 'content-range': '0-2' })
    expect([first.statusCode, first.headers.range]).toEqual([202, '0-2'])
    expect((await call('PATCH', String(location), 'xx', { 'content-range': '7-8' })).statusCode).toBe(416)
    expect((await call('PATCH', String(location), 'lo', { 'content-range': '3-4' })).statusCode).toBe(202)
    expect((await call('PUT', `${location}?digest=${sha('hello')}`)).statusCode).toBe(201)
    expect((await call('GET', `/v2/${APP}/blobs/${sha('hello')}`)).body).toBe('hello')
  })
  it('whose bytes have another digest are not kept', async () => {
    const { location } = (await call('POST', `/v2/${APP}/blobs/uploads/`)).headers
    const answer = await call('PUT', `${location}?digest=${sha('other')}`, 'hello')
    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toMatchObject({ errors: [{ code: 'DIGEST_INVALID' }] })
    expect((await call('HEAD', `/v2/${APP}/blobs/${sha('other')}`)).statusCode).toBe(404)
    expect(readdirSync(`${home}/registry/uploads`)).toEqual([])
  })
  it.each(['sha256:..%2f..%2fetc%2fpasswd', 'sha512:00', 'x'])(
    'named %s are refused before they become a path',
    async (digest) => {
      expect((await call('GET', `/v2/${APP}/blobs/${digest}`)).statusCode).toBe(400)
    },
  )
})

describe('images from before repositories had blobs of their own', () => {
  it('may read them after the next start', async () => {
    const text = manifest(await upload('{}'), await upload('layer'))
    await call('PUT', `/v2/${APP}/manifests/v1`, text, { 'content-type': TYPE })
    rmSync(`${home}/registry/apps/${APP}/blobs`, { recursive: true })
    const config = { home } as ControllerConfig
    const store = new ManifestStore(config, new BlobStore(config))
    const layer = parseDigest(sha('layer'))
    expect(await store.mayRead(APP, layer)).toBe(false)
    await store.onModuleInit()
    expect(await store.mayRead(APP, layer)).toBe(true)
  })
})

describe('manifests', () => {
  it('are found by digest and by tag, with their media type', async () => {
    const text = manifest(await upload('{}'), await upload('layer'))
    const put = await call('PUT', `/v2/${APP}/manifests/v1`, text, { 'content-type': TYPE })
    expect([put.statusCode, put.headers['docker-content-digest']], put.body).toEqual([201, sha(text)])
    for (const reference of ['v1', encodeURIComponent(sha(text))]) {
      const got = await call('GET', `/v2/${APP}/manifests/${reference}`)
      expect([got.statusCode, got.body, got.headers['content-type']]).toEqual([200, text, TYPE])
    }
  })
  it('belong to their app', async () => {
    const text = manifest(await upload('{}'), await upload('layer'))
    await call('PUT', `/v2/${APP}/manifests/${sha(text)}`, text, { 'content-type': TYPE })
    const other = APP.replace('0', '1')
    expect((await call('GET', `/v2/${other}/manifests/${sha(text)}`)).statusCode).toBe(404)
  })
  it('are refused while a blob is missing, when they mean two things, or say they are something else', async () => {
    const [config, layer] = [await upload('{}'), await upload('layer')]
    const put = (text: string, type = TYPE) => call('PUT', `/v2/${APP}/manifests/v1`, text, { 'content-type': type })
    expect((await put(manifest(config, sha('absent')))).json()).toMatchObject({
      errors: [{ code: 'MANIFEST_BLOB_UNKNOWN' }],
    })
    expect((await put(manifest(config, layer, { manifests: [] }))).statusCode).toBe(400)
    expect((await put(manifest(config, layer, { mediaType: 'text/plain' }))).statusCode).toBe(400)
    expect((await put(manifest(config, layer), 'application/json')).statusCode).toBe(400)
    expect((await call('GET', `/v2/${APP}/manifests/v1`)).statusCode).toBe(404)
  })
})
