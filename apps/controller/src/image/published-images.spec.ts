import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger, systemClock, waitFor } from '@croft/kit'
import { makeCertificates } from '@croft/kit/testing/certificates'
import { digestOf, NO_PROXIES } from '@croft/oci'
import { afterEach, describe, expect, it } from 'vitest'
import type { ControllerConfig } from '../config.js'
import { BlobStore } from './blob-store.js'
import { ManifestStore } from './manifest-store.js'
import { ImageNotPublished, PublishedImages } from './published-images.js'

const APP = '01234567-89ab-7def-8123-456789abcdef'
const TYPE = 'application/vnd.oci.image.manifest.v1+json'
const LAYER = 'the bytes of a layer'
const CONFIG = '{}'
/** Of every upload. */
const location = '/v2/croft/home-1/blobs/uploads/7'

let home: string
let server: Server
let answer: (request: IncomingMessage, response: ServerResponse) => void
let images: PublishedImages
let image: string

/** Begins to serve, over TLS or not, and to publish an image there. */
async function begin(scheme: 'http' | 'https', tls = makeCertificates().server, ca = ''): Promise<void> {
  home = mkdtempSync(join(tmpdir(), 'published-images-'))
  const listener = (request: IncomingMessage, response: ServerResponse): void => answer(request, response)
  server = scheme === 'http' ? createServer(listener) : createTlsServer(tls, listener)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const config = { home, homeId: 'home-1', registry: { url, credentials: null } } as ControllerConfig
  const blobs = new BlobStore(config)
  await blobs.onModuleInit()
  const manifests = new ManifestStore(config, blobs)
  images = new PublishedImages(
    config,
    blobs,
    manifests,
    { certificates: async () => ca, proxies: async () => NO_PROXIES },
    systemClock,
    silentLogger,
  )
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
  await manifests.put(APP, image, { mediaType: TYPE, bytes: manifest })
}
afterEach(async () => {
  await images.onApplicationShutdown()
  server.close().closeAllConnections()
  rmSync(home, { recursive: true, force: true })
})

describe('an image of which one blob is refused', () => {
  it('is not published, and nothing of it is sent any more', async () => {
    await begin('http')
    let isGone = false
    answer = (request, response) => {
      request.resume()
      if (request.method === 'HEAD') response.writeHead(404).end()
      else if (request.method === 'POST') response.writeHead(202, { location }).end()
      else if (request.url?.includes(digestOf(CONFIG).slice(7)) === true) response.writeHead(507).end()
      else response.on('close', () => (isGone = true)) // the layer: never answered
    }
    await expect(images.publish(APP, image)).rejects.toBeInstanceOf(ImageNotPublished)
    await waitFor(() => isGone, { what: 'the end of the upload', timeoutMs: 5_000 })
  })
})

describe('an image of a platform whose registry a private authority signed', () => {
  const uploads: string[] = []
  const taken: typeof answer = (request, response) => {
    uploads.push(`${request.method}`)
    request.resume().on('end', () => {
      if (request.method === 'HEAD') response.writeHead(404).end()
      else if (request.method === 'POST') response.writeHead(202, { location }).end()
      else response.writeHead(201).end()
    })
  }

  it('is published where that is trusted', async () => {
    const { server: tls, ca } = makeCertificates()
    await begin('https', tls, ca)
    answer = taken
    expect(await images.publish(APP, image)).toMatchObject({ isNew: true })
    expect(uploads.filter((method) => method === 'PUT')).toHaveLength(3)
  })

  it('is refused with the remedy where it is not', async () => {
    await begin('https')
    answer = taken
    uploads.length = 0
    await expect(images.publish(APP, image)).rejects.toThrow(/is not trusted: .*croft settings:set ca=FILE/)
    expect(uploads).toEqual([])
  })
})
