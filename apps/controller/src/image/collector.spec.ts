import { existsSync, mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { Readable } from 'node:stream'
import { parseDigest, silentLogger, type Clock, type Digest } from '@croft/kit'
import { digestOf, NO_PROXIES } from '@croft/oci'
import type { DataSource } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ControllerConfig } from '../config.js'
import { InternalServer } from '../http/internal-server.js'
import { BlobStore } from './blob-store.js'
import { Collector } from './collector.js'
import { ManifestStore } from './manifest-store.js'
import { PublishedImages } from './published-images.js'
import { RegistryNodeRoutes } from './registry-node.routes.js'

const APP = '01234567-89ab-7def-8123-456789abcdef'
const TYPE = 'application/vnd.oci.image.manifest.v1+json'
const HOUR = 3_600_000

let home: string
let aheadMs: number
let server: InternalServer
let blobs: BlobStore
let manifests: ManifestStore
let collector: Collector
/** Images the database refers to. */
let roots: string[]
let isLive: boolean

beforeEach(async () => {
  home = mkdtempSync('/tmp/collector-')
  aheadMs = 0
  roots = []
  isLive = true
  const clock = { now: () => Date.now() + aheadMs, monotonic: () => performance.now() + aheadMs } as Clock
  const config = { home, registry: null, homeId: 'a' } as ControllerConfig
  blobs = new BlobStore(config, clock)
  await blobs.onModuleInit()
  manifests = new ManifestStore(config, blobs)
  const query = (sql: string): Promise<unknown> =>
    Promise.resolve(sql.includes('AS live FROM app') ? [{ live: isLive }] : roots.map((image) => ({ image })))
  const published = new PublishedImages(
    config,
    blobs,
    manifests,
    { certificates: async () => '', proxies: async () => NO_PROXIES },
    clock,
    silentLogger,
  )
  collector = new Collector({ query } as unknown as DataSource, blobs, manifests, published, clock, silentLogger)
  server = new InternalServer('node', `${home}/node.sock`, silentLogger)
  await new RegistryNodeRoutes(server, blobs, manifests).onModuleInit()
  await server.fastify.ready()
})
afterEach(async () => {
  await server.close()
  rmSync(home, { recursive: true, force: true })
})

/** What an executor does at the end of a build. */
const ask = (method: 'HEAD' | 'POST' | 'PUT' | 'GET', url: string, body?: string) =>
  server.fastify.inject({
    method,
    url,
    headers: { 'content-type': TYPE },
    ...(body !== undefined && { payload: Readable.from([Buffer.from(body)]) }),
  })
async function blob(text: string): Promise<Digest> {
  return blobs.put(Buffer.from(text))
}
async function manifestOf(...layers: string[]): Promise<string> {
  const describe = async (text: string) => ({ mediaType: 'x/y', digest: await blob(text), size: text.length })
  return JSON.stringify({
    schemaVersion: 2,
    config: await describe(`config of ${layers.join()}`),
    layers: await Promise.all(layers.map(describe)),
  })
}
async function put(text: string, reference?: string): Promise<Digest> {
  const digest = await blob(text)
  const { digest: stored } = await manifests.put(
    APP,
    reference ?? digest,
    { mediaType: TYPE, bytes: Buffer.from(text) },
    true,
  )
  return stored
}
const isHere = (digest: string): boolean => existsSync(`${home}/registry/blobs/sha256/${digest.slice(7)}`)
/** Time goes on: everything that is here now has long been here. */
function later(ms = 24 * HOUR): void {
  aheadMs += ms
}

describe('the collector', () => {
  it('removes images nothing refers to with their layers, and keeps what the others share', async () => {
    const live = await put(await manifestOf('shared', 'mine'))
    const gone = await put(await manifestOf('shared', 'theirs'))
    roots = [live]
    later()
    expect(await collector.collect()).toMatchObject({ manifests: 1, blobs: 3 }) // manifest, config, one layer
    expect(await manifests.find(APP, gone)).toBeUndefined()
    expect(await manifests.find(APP, live)).toBeDefined()
    expect([isHere(digestOf('shared')), isHere(live), isHere(gone)]).toEqual([true, true, false])
    expect((await ask('GET', `/v2/${APP}/manifests/${live}`)).statusCode).toBe(200)
  })

  it('keeps what a tag names, until its app is destroyed', async () => {
    const tagged = await put(await manifestOf('a'), 'candidate')
    later()
    expect(await collector.collect()).toMatchObject({ manifests: 0, blobs: 0 })
    isLive = false
    later()
    expect(await collector.collect()).toMatchObject({ manifests: 1, blobs: 3 })
    expect(isHere(tagged)).toBe(false)
  })

  it('keeps what is young, and what was there before it started for as long', async () => {
    await put(await manifestOf('a'))
    expect(await collector.collect()).toMatchObject({ manifests: 0, blobs: 0 })
    const path = `${home}/registry/blobs/sha256/${(await blob('b')).slice(7)}`
    utimesSync(path, 0, 0) // of an earlier run of the controller
    expect(await collector.collect()).toMatchObject({ blobs: 0 })
    later()
    expect(await collector.collect()).toMatchObject({ manifests: 1, blobs: 4 })
  })

  it('in the middle of a build takes nothing the build found or brought: its image is whole', async () => {
    const former = await blob('a layer of an image that nothing needs any more')
    const other = await blob('another old layer')
    later()
    // the build looks which layers it has to send …
    expect((await ask('HEAD', `/v2/${APP}/blobs/${former}`)).statusCode).toBe(200)
    const fresh = await blob('the layer it made')
    expect(await collector.collect()).toMatchObject({ blobs: 1 })
    expect(isHere(other)).toBe(false)
    // … and refers to them
    const text = JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: 'x/y', digest: await blob('config'), size: 6 },
      layers: [former, fresh].map((digest) => ({ mediaType: 'x/y', digest, size: 1 })),
    })
    expect((await ask('PUT', `/v2/${APP}/manifests/new`, text)).statusCode).toBe(201)
    expect(await collector.collect()).toMatchObject({ manifests: 0, blobs: 0 })
  })

  it('beside any number of builds leaves no image with a hole', async () => {
    const layers = await Promise.all(Array.from({ length: 20 }, (_, at) => blob(`layer ${at}`)))
    const build = async (number: number): Promise<Digest> => {
      const chosen: Digest[] = []
      for (const at of [number % 20, (number * 7) % 20]) {
        const layer = layers[at] ?? parseDigest(`sha256:${'0'.repeat(64)}`)
        const isKnown = (await ask('HEAD', `/v2/${APP}/blobs/${layer}`)).statusCode === 200
        chosen.push(isKnown ? layer : await blob(`layer ${at}`))
        await new Promise((done) => setImmediate(done))
      }
      const text = JSON.stringify({
        schemaVersion: 2,
        config: { mediaType: 'x/y', digest: await blob(`config ${number}`), size: 6 },
        layers: chosen.map((digest) => ({ mediaType: 'x/y', digest, size: 1 })),
      })
      const answer = await ask('PUT', `/v2/${APP}/manifests/${await blob(text)}`, text)
      expect(answer.statusCode, answer.body).toBe(201)
      return blob(text)
    }
    for (let round = 0; round < 10; round += 1) {
      later()
      const [image] = await Promise.all([build(round), collector.collect(), build(round + 3), collector.collect()])
      roots = [image]
      for (const { digest } of await manifests.list(APP)) {
        const { layers: parts } = JSON.parse((await manifests.peek(APP, digest)).bytes.toString()) as {
          layers: { digest: string }[]
        }
        for (const part of parts) expect(isHere(part.digest)).toBe(true)
      }
    }
  })
})
