import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger, systemClock, waitFor } from '@croft/kit'
import { digestOf } from '@croft/oci'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ControllerConfig } from '../config.js'
import { BlobStore } from './blob-store.js'
import { ManifestStore } from './manifest-store.js'
import { ImageNotPublished, PublishedImages } from './published-images.js'

const APP = '01234567-89ab-7def-8123-456789abcdef'
const TYPE = 'application/vnd.oci.image.manifest.v1+json'
const LAYER = 'the bytes of a layer'
const CONFIG = '{}'

let home: string
let server: Server
let answer: (request: IncomingMessage, response: ServerResponse) => void
let images: PublishedImages
let image: string

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'published-images-'))
  server = createServer((request, response) => answer(request, response))
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const config = { home, homeId: 'home-1', registry: { url, credentials: null } } as ControllerConfig
  const blobs = new BlobStore(config)
  await blobs.onModuleInit()
  const manifests = new ManifestStore(config, blobs)
  images = new PublishedImages(config, blobs, manifests, systemClock, silentLogger)
  const [layer, document] = await Promise.all([LAYER, CONFIG].map((text) => blobs.put(Buffer.from(text))))
  for (const digest of [layer, document]) await manifests.link(APP, digest as never)
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: TYPE,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: document, size: CONFIG.length },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd', digest: layer, size: LAYER.length }],
    }),
  )
  image = digestOf(manifest)
  await manifests.put(APP, image, { digest: digestOf(manifest), mediaType: TYPE, bytes: manifest })
})
afterEach(async () => {
  await images.onApplicationShutdown()
  server.close().closeAllConnections()
  rmSync(home, { recursive: true, force: true })
})

describe('an image of which one blob is refused', () => {
  it('is not published, and nothing of it is sent any more', async () => {
    let isGone = false
    answer = (request, response) => {
      request.resume()
      if (request.method === 'HEAD') return response.writeHead(404).end()
      if (request.method === 'POST')
        return response.writeHead(202, { location: '/v2/croft/home-1/blobs/uploads/7' }).end()
      if (request.url?.includes(digestOf(CONFIG).slice(7)) === true) return response.writeHead(507).end()
      response.on('close', () => (isGone = true)) // the layer: never answered
    }
    await expect(images.publish(APP, image)).rejects.toBeInstanceOf(ImageNotPublished)
    await waitFor(() => isGone, { what: 'the end of the upload', timeoutMs: 5_000 })
  })
})
