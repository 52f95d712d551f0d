import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock, type Clock } from '@croft/kit'
import { digestOf } from './digest.js'
import { RegistryUnreachable } from './errors.js'
import { RegistryClient } from './registry-client.js'
import { mediaTypes } from './media-types.js'

let folder: string
let server: Server
let client: RegistryClient
let answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void
const asked: string[] = []
/** Time that passes at once: what is tried again is tried again now. */
const hastyClock: Clock = { ...systemClock, sleep: () => Promise.resolve() }

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oci-registry-'))
  asked.length = 0
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      asked.push(`${request.method} ${request.url}`)
      answer(request, response, Buffer.concat(chunks))
    })
  })
  server.listen(join(folder, 'sock'))
  await once(server, 'listening')
  client = new RegistryClient({ socketPath: join(folder, 'sock'), origin: 'http://registry' }, hastyClock)
})
afterEach(async () => {
  await client.close()
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true, force: true })
})

const content = Buffer.from('a layer')
const descriptor = { mediaType: mediaTypes.layerZstd, digest: digestOf(content), size: content.length }

describe('a registry client on a unix socket', () => {
  it('uploads a blob in one piece where the registry says, and begins anew after a failure', async () => {
    let uploads = 0
    const received: Buffer[] = []
    answer = (request, response, body) => {
      if (request.method === 'POST') {
        uploads += 1
        response.writeHead(202, { location: `/v2/app/blobs/uploads/${uploads}?state=x` }).end()
      } else {
        received.push(body)
        response.writeHead(uploads === 1 ? 500 : 201).end()
      }
    }
    await client.putBlob('app', descriptor, () => content)
    expect(received).toEqual([content, content])
    expect(asked.at(-1)).toBe(`PUT /v2/app/blobs/uploads/2?state=x&digest=${encodeURIComponent(descriptor.digest)}`)
  })

  it('uploads a small blob with the first request where the registry takes it', async () => {
    let received: Buffer | undefined
    answer = (_request, response, body) => {
      received = body
      response.writeHead(201).end()
    }
    await client.putBlob('app', descriptor, () => content)
    expect(received).toEqual(content)
    expect(asked).toEqual([`POST /v2/app/blobs/uploads/?digest=${descriptor.digest}`])
  })

  it('begins the upload of a large blob without its bytes', async () => {
    const large = Buffer.alloc(1024 * 1024 + 1)
    const sizes: number[] = []
    answer = (request, response, body) => {
      sizes.push(body.length)
      response.writeHead(request.method === 'POST' ? 202 : 201, { location: '/v2/app/blobs/uploads/1' }).end()
    }
    await client.putBlob('app', { digest: digestOf(large), size: large.length }, () => large)
    expect(sizes).toEqual([0, large.length])
  })

  it('says whether a blob is there, and passes other answers on as errors', async () => {
    answer = (request, response) => void response.writeHead(request.url?.includes('/there/') ? 200 : 404).end()
    expect(await client.hasBlob('there', descriptor.digest)).toBe(true)
    expect(await client.hasBlob('elsewhere', descriptor.digest)).toBe(false)
    answer = (_request, response) => void response.writeHead(403).end('{"errors":[]}')
    await expect(client.hasBlob('there', descriptor.digest)).rejects.toThrow('answered 403')
  })

  it('fails a download that is not what was asked for', async () => {
    answer = (_request, response) => void response.writeHead(200).end('another')
    const read = async (): Promise<void> => {
      for await (const chunk of await client.blob('app', descriptor)) void chunk
    }
    await expect(read()).rejects.toThrow('does not match its digest')
    await expect(client.manifest('app', descriptor.digest)).rejects.toThrow('another manifest')
  })

  it('gives up on a registry that stays away, naming what it wanted', async () => {
    answer = (request) => request.socket.destroy()
    const gone = await client.hasBlob('app', descriptor.digest).catch((error: unknown) => error)
    expect(gone).toBeInstanceOf(RegistryUnreachable)
    expect(String(gone)).toMatch(/cannot be reached: HEAD \/v2\/app\/blobs/)
    expect(asked.length).toBe(10)
  })

  it('puts no reference into a path that is neither tag nor digest', async () => {
    answer = (_request, response) => void response.writeHead(200).end()
    await expect(client.manifest('app', '../../other/manifests/v1')).rejects.toThrow('not a tag or digest')
    expect(asked).toEqual([])
  })
})
