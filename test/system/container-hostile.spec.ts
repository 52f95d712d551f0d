import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LinuxBackend } from '@croft/backend-linux'
import { ServiceUnavailableError } from '@croft/garden-api'
import { runToEnd } from '@croft/garden-api/conformance'
import { run } from '@croft/kit'
import { image, leftovers, makeHome, root, sh, type TestHome } from './support/backend-rig.js'
import * as fc from 'fast-check'

describe('a hostile image', () => {
  let home: TestHome
  let backend: LinuxBackend

  beforeAll(async () => {
    home = await makeHome()
    backend = await home.open()
    await backend.recover()
  })
  afterAll(async () => {
    await backend.close()
    await home.clean()
  })

  it.each([
    ['/proc is a link to the host', 'rm -rf proc; ln -s /etc proc'],
    ['/dev is a link to the host', 'rm -rf dev; ln -s /etc dev'],
    ['/sys is a link out of the root', 'rm -rf sys; ln -s ../../../../etc sys'],
    ['/etc/resolv.conf is a link to the host', 'ln -s /etc/shadow etc/resolv.conf'],
    ['/etc/hosts is a link out of the root', 'ln -s ../../../../../../../../../tmp/croft-escaped etc/hosts'],
    ['/tmp is a link to a folder of the host', 'rm -rf tmp; ln -s /root tmp'],
    ['/dev/null is a file', 'mkdir -p dev; echo x > dev/null'],
    ['/etc/passwd is a pipe', 'rm etc/passwd; mkfifo etc/passwd'],
  ])('does the host no harm when %s', async (_what, script) => {
    const evil = join(home.dir, 'evil')
    await run(
      'sh',
      ['-c', `rm -rf "$2" && cp -a "$1" "$2" && cd "$2" && rm usr/bin/node && ${script}`, 'sh', root, evil],
      { timeoutMs: 20_000 },
    )
    const before = await run(
      'sh',
      [
        '-c',
        'cksum /etc/passwd /etc/shadow /etc/hosts /etc/resolv.conf; ls -la /root /tmp | grep -c croft-escaped || true; mount | wc -l',
      ],
      { timeoutMs: 5000 },
    )
    try {
      const container = await backend.create({ image: { uri: `raw://${evil}` }, handle: 'evil' })
      const { stdout } = await runToEnd(container, {
        ...sh('cat /etc/shadow /proc/1/environ 2>/dev/null; id -u'),
        user: '0:0',
      })
      expect(stdout.toString()).toMatch(/^(nameserver [0-9.]+\n)?0\n$/)
    } catch (error) {
      if (!(error instanceof ServiceUnavailableError)) throw error // refusing such an image is as good
    }
    await backend.destroy('evil', { ifExists: true })
    const after = await run(
      'sh',
      [
        '-c',
        'cksum /etc/passwd /etc/shadow /etc/hosts /etc/resolv.conf; ls -la /root /tmp | grep -c croft-escaped || true; mount | wc -l',
      ],
      { timeoutMs: 5000 },
    )
    expect(after.stdout.toString()).toBe(before.stdout.toString())
    expect(await leftovers(home)).toEqual([])
  })
})

describe('a shim that hears nonsense', () => {
  it('drops who said it and goes on, whatever was said', async () => {
    const home = await makeHome()
    const backend = await home.open()
    await backend.recover()
    const container = await backend.create({ ...image, handle: 'talk' })
    const state = JSON.parse(await readFile(join(home.dir, 'containers/talk/state.json'), 'utf8')) as {
      slot: number
      shim: { pid: number }
    }
    const say = async (bytes: Uint8Array): Promise<void> => {
      const socket = connect(join(home.dir, 'run', `${state.slot}.sock`))
      socket.on('error', () => undefined)
      socket.end(bytes)
      socket.resume()
      await once(socket, 'close')
    }
    try {
      const types = fc.constantFrom(...'HRAISWXZ'.split('').map((type) => type.charCodeAt(0)))
      const framed = fc.tuple(types, fc.uint8Array({ maxLength: 80 })).map(([type, body]) => {
        const head = Buffer.alloc(5)
        head.writeUInt32LE(body.length + 1)
        head.writeUInt8(type, 4)
        return Buffer.concat([head, body])
      })
      const said = fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        fc.array(framed, { maxLength: 6 }).map((frames) => Buffer.concat(frames)),
      )
      await fc.assert(fc.asyncProperty(said, say), { numRuns: 300 })
      /* a run request whose inner lengths lie: it is init's child that reads those */
      const lying = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((tail) => {
        const body = Buffer.concat([
          Buffer.of('R'.charCodeAt(0), 0, 0, 0, 0, 0, 0, 4, 0),
          Buffer.from(`f${Math.abs(tail[0] ?? 0) % 1000}`.padEnd(4, 'z')),
          Buffer.from(tail),
        ])
        const head = Buffer.alloc(4)
        head.writeUInt32LE(body.length)
        return Buffer.concat([head, body])
      })
      await fc.assert(fc.asyncProperty(lying, say), { numRuns: 100 })
      expect((await runToEnd(container, sh('echo still here'))).stdout.toString()).toBe('still here\n')
      const { shim } = JSON.parse(await readFile(join(home.dir, 'containers/talk/state.json'), 'utf8')) as {
        shim: { pid: number }
      }
      expect(shim.pid).toBe(state.shim.pid)
    } finally {
      await backend.close()
      await home.clean()
    }
  })
})
