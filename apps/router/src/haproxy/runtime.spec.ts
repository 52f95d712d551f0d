import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import {
  applyChanges,
  CommandRefused,
  HaproxyAway,
  parseMap,
  parseServersState,
  parseSessions,
  runCommands,
} from './runtime.js'

const folder = mkdtempSync('/tmp/router-')
const path = `${folder}/stats.sock`
let server: Server | undefined

/** A command socket in prompt mode that answers each line. */
async function haproxySaying(answer: (line: string) => string, onConnection?: (socket: Socket) => void): Promise<void> {
  server = createServer((socket) => {
    onConnection?.(socket)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        // In small pieces: a reply is not a packet.
        for (const piece of `${line === 'prompt' ? '' : `${answer(line)}\n`}\n> `.match(/[^]{1,7}/g) ?? [])
          socket.write(piece)
      }
    })
  })
  await new Promise<void>((resolve) => server?.listen(path, resolve))
}

afterEach(async () => {
  await new Promise((resolve) => (server === undefined ? resolve(null) : server.close(resolve)))
  server = undefined
  rmSync(path, { force: true })
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('runtime: commands', () => {
  it('get their replies in order', async () => {
    await haproxySaying((line) => `reply to ${line}`)
    const replies = await runCommands(path, ['one', 'two', 'three'])
    expect(replies.map((reply) => reply.trim())).toEqual(['reply to one', 'reply to two', 'reply to three'])
  })

  it('that are refused are named with the reason', async () => {
    await haproxySaying((line) => (line.includes('s9') ? 'No such server.' : ''))
    const changes = [
      { kind: 'close', backend: 'b00001', slot: 's1' },
      { kind: 'close', backend: 'b00001', slot: 's9' },
    ] as const
    await expect(applyChanges(path, '/run', changes)).rejects.toThrow(CommandRefused)
    await expect(applyChanges(path, '/run', changes)).rejects.toThrow(/b00001\/s9 state maint: No such server/)
  })

  it('fail as HAProxy being away when nobody listens, or it goes in the middle', async () => {
    await expect(runCommands(path, ['one'])).rejects.toThrow(HaproxyAway)
    await haproxySaying(
      () => 'reply',
      (socket) => socket.destroy(),
    )
    await expect(runCommands(path, ['one'])).rejects.toThrow(HaproxyAway)
  })
})

describe('runtime: what HAProxy says', () => {
  it('servers state: app slots only, in order, whatever a configuration line once disabled', () => {
    const text = [
      '1',
      '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight …',
      '5 platform 2 api - 2 0 1 1 0 1 0 3 6 0 0 0 - 0 - 0 0 - - 0',
      '7 b00002 10 s10 127.0.0.1 0 5 1 1 1 1 0 0 14 0 0 0 - 1 - 0 0 - - 0',
      '7 b00002 2 s2 10.192.0.9 0 4 7 1 1 1 0 0 14 0 0 0 - 8080 - 0 0 - - 0',
      '6 b00001 1 hold - 2 0 1 1 1 1 0 2 0 0 0 0 - 0 - 0 0 - - 0',
      '6 b00001 2 s1 fd00::2 2 0 1 1 1 6 3 2 6 0 0 0 - 21090 - 0 0 - - 0',
      '',
    ].join('\n')
    expect(parseServersState(text)).toEqual([
      { backend: 'b00001', name: 's1', address: '[fd00::2]:21090', isReady: true, weight: 1 },
      { backend: 'b00002', name: 's2', address: '10.192.0.9:8080', isReady: true, weight: 7 },
      { backend: 'b00002', name: 's10', address: '127.0.0.1:1', isReady: false, weight: 1 },
    ])
  })

  it('maps: keys and values', () => {
    expect(parseMap('0x55d0 shop.localhost/ b00001\n0x55d1 a.b/api/ b00002\n\n')).toEqual(
      new Map([
        ['shop.localhost/', 'b00001'],
        ['a.b/api/', 'b00002'],
      ]),
    )
  })

  it('sessions: summed by address over backends, without the hold', () => {
    const text = [
      '# pxname,svname,qcur,scur,addr,-',
      'b00001,hold,0,9,unix,',
      'b00001,s1,0,2,10.192.0.2:8080,',
      'b00002,s1,0,1,10.192.0.2:8080,',
      'b00002,s2,0,0,10.192.0.3:8080,',
    ].join('\n')
    expect(parseSessions(text)).toEqual(
      new Map([
        ['10.192.0.2:8080', 3],
        ['10.192.0.3:8080', 0],
      ]),
    )
  })
})
