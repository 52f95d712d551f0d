import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { waitFor } from '@croft/kit'
import type { Backend, Container } from '../../backend.js'
import { StreamError } from '../../errors.js'
import { FakeBackend } from '../../fake/index.js'
import { filesOf, tarOf } from '../../conformance/streams.js'
import { call, head, RawConnection } from '../testing/raw.js'
import { serveFake, type Served } from '../testing/serve.js'

/** A fake whose stream-out is what the test says. */
class OddFake extends FakeBackend {
  out: (() => Readable) | undefined
  override async lookup(handle: string): ReturnType<Backend['lookup']> {
    const container = await super.lookup(handle)
    const { out } = this
    if (out === undefined) return container
    return new Proxy(container, {
      get: (target, name) => {
        if (name === 'streamOut') return async () => out()
        const value = target[name as keyof Container] as unknown
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
  }
}

let served: Served
const fake = new OddFake()
beforeAll(async () => {
  served = await serveFake({ fake })
  await call(served.address, 'POST', '/containers', { handle: 'c' })
})
afterAll(async () => {
  await served.close()
})

async function bytesOf(tar: Readable): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of tar) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** As the Go client: chunked, for it does not know the length. */
async function streamIn(query: string, body: Buffer): Promise<RawConnection> {
  const connection = await RawConnection.open(served.address)
  const headers = { 'Transfer-Encoding': 'chunked', 'Content-Type': 'application/x-tar', Connection: 'close' }
  connection.write(head('PUT', `/containers/c/files?${query}`, headers))
  for (let at = 0; at < body.length; at += 32_768) {
    const piece = body.subarray(at, at + 32_768)
    connection.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]))
  }
  return connection
}
const END = '0\r\n\r\n'

describe('streaming in', () => {
  it('takes a chunked tar and gives it out again', async () => {
    const connection = await streamIn(
      'user=alice&destination=%2Ftmp%2Fx',
      await bytesOf(tarOf({ a: 'one', 'b/c': 'two' })),
    )
    connection.write(END)
    expect(await connection.untilEnd()).toMatchObject({ status: 200, body: '{}\n' })
    const out = await RawConnection.open(served.address)
    out.write(head('GET', '/containers/c/files?user=&source=/tmp/x/', { Connection: 'close' }))
    const answer = await out.untilEnd()
    expect(answer).toMatchObject({ status: 200 })
    expect(answer.headers).not.toHaveProperty('content-type')
    const files = await filesOf(Readable.from([unchunk(out.body)]))
    expect(files.get('b/c')?.toString()).toBe('two')
  })

  it('refuses before the end of what is sent, and the client hears why', async () => {
    const connection = await streamIn('user=nosuch-user&destination=/tmp', Buffer.alloc(3_000_000))
    const answer = await connection.untilHead()
    await waitFor(() => connection.text.includes('unable to find user nosuch-user'), {
      what: 'the reason',
      timeoutMs: 2000,
    })
    expect(answer.status).toBe(422)
    connection.close()
  })

  it("fails for an archive that is cut short, in Garden's words", async () => {
    const whole = await bytesOf(tarOf({ a: 'x'.repeat(5000) }))
    const connection = await streamIn('user=root&destination=/tmp', whole.subarray(0, 2000))
    connection.write(END)
    const answer = await connection.untilEnd()
    expect(answer.status).toBe(422)
    expect(answer.body).toContain('error streaming in')
  })

  it.each(['PUT', 'GET'])('wants to know where (%s)', async (method) => {
    expect((await call(served.address, method, '/containers/c/files?user=root', '')).status).toBe(400)
  })
})

describe('streaming out', () => {
  it('defect 5: what is not there is an error, not an empty archive', async () => {
    const answer = await call(served.address, 'GET', '/containers/c/files?user=root&source=/nosuch')
    expect(answer).toMatchObject({ status: 422, json: { Code: 'stream-out' } })
    expect(answer.json['Message']).toContain('/nosuch: no such file or directory')
  })

  it('defect 5: a failure before the first byte is an error', async () => {
    fake.out = () =>
      new Readable({
        read() {
          this.destroy(new StreamError('out', 'tar died early'))
        },
      })
    const answer = await call(served.address, 'GET', '/containers/c/files?source=/x')
    expect(answer).toMatchObject({ status: 422, json: { Message: 'error streaming out: tar died early' } })
    fake.out = undefined
  })

  it('defect 5: a failure on the way breaks the connection, so that nobody takes the rest for the whole', async () => {
    let sent = 0
    fake.out = () =>
      new Readable({
        read() {
          if (sent > 1_000_000) this.destroy(new StreamError('out', 'tar died'))
          else this.push(Buffer.alloc(50_000))
          sent += 50_000
        },
      })
    const connection = await RawConnection.open(served.address)
    connection.write(head('GET', '/containers/c/files?source=/x'))
    const answer = await connection.untilEnd()
    expect(answer.status).toBe(200)
    expect(connection.body.length).toBeGreaterThan(50_000)
    expect(connection.text).not.toContain('\r\n0\r\n\r\n')
    fake.out = undefined
  })
})

function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; ;) {
    const end = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16)
    if (!(size > 0)) return Buffer.concat(parts)
    parts.push(bytes.subarray(end + 2, end + 2 + size))
    at = end + 4 + size
  }
}
