import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isBorrower, Lender } from './lender.js'
import { waitFor } from './wait.js'

/** Takes its time over each chunk, and looks at it only at the end of that. */
class SlowSum extends Writable {
  readonly borrows = true
  bytes = 0
  isSound = true
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    setImmediate(() => {
      for (const byte of chunk) {
        this.isSound &&= byte === this.bytes % 251
        this.bytes += 1
      }
      done()
    })
  }
}

describe('a connection whose bytes are lent', () => {
  let dir: string
  let server: Server
  const BYTES = 3_000_000
  const sent = Buffer.from(Uint8Array.from({ length: BYTES }, (_, at) => at % 251))

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lender-'))
    server = createServer((socket: Socket) => socket.end(sent)).listen(join(dir, 'sock'))
    await once(server, 'listening')
  })
  afterEach(async () => {
    server.close()
    await rm(dir, { recursive: true, force: true })
  })

  it('gives every byte to one who is done with each chunk late, before it reads over it', async () => {
    const lender = new Lender({ path: join(dir, 'sock') })
    const to = new SlowSum()
    lender.socket.on('data', (chunk: Buffer) => {
      /* as two pieces: all must be back */
      const middle = Math.floor(chunk.length / 2)
      lender.lend(chunk.subarray(0, middle), to)
      lender.lend(chunk.subarray(middle), to)
    })
    await once(lender.socket, 'close')
    expect([to.bytes, to.isSound]).toEqual([BYTES, true])
  })

  it('waits for who does not call back, and goes on when he has gone', async () => {
    const lender = new Lender({ path: join(dir, 'sock') })
    const stuck = Object.assign(new Writable({ write: () => undefined }), { borrows: true as const })
    stuck.on('error', () => undefined)
    let lent = 0
    lender.socket.on('data', (chunk: Buffer) => {
      lent += 1
      if (!stuck.destroyed) lender.lend(chunk, stuck)
    })
    await waitFor(() => lent > 0, { what: 'some bytes', timeoutMs: 2_000 })
    await new Promise((resolve) => setImmediate(resolve))
    expect(lent).toBe(1)
    stuck.destroy(new Error('gone'))
    await once(lender.socket, 'close')
    expect(lent).toBeGreaterThan(1)
  })

  it('knows a borrower', () => {
    expect([new SlowSum(), new Writable(), undefined].map((to) => isBorrower(to))).toEqual([true, false, false])
  })
})
