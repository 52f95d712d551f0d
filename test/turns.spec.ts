import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { waitFor } from '@croft/kit'
import { giveTurns, inOrderOfTurns, turnOf, type Turn } from './support/turns.js'

let folder: string
let close: () => void
let turns: string[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'turns-'))
  close = await giveTurns(join(folder, 'socket'))
  turns = []
})
afterEach(() => {
  close()
  rmSync(folder, { recursive: true })
})

async function ask(name: string, how: Turn): Promise<Socket> {
  const socket = connect(join(folder, 'socket'))
  await once(socket, 'connect')
  socket.on('data', () => turns.push(name))
  socket.write(how)
  return socket
}
const untilTurns = (...names: string[]): Promise<boolean> =>
  waitFor(() => turns.join() === names.join(), { what: `turns of ${names.join()}`, timeoutMs: 2_000 })
async function end(socket: Socket): Promise<void> {
  socket.destroy()
  await once(socket, 'close')
}

describe('turns of test files', () => {
  it('are for two at once, for others alone, and in the order in which they were asked for', async () => {
    const a = await ask('a', 'waits')
    const b = await ask('b', 'waits')
    await untilTurns('a', 'b')
    const c = await ask('c', 'alone')
    const d = await ask('d', 'alone')
    await end(a)
    expect(turns).toEqual(['a', 'b'])
    await end(b)
    await untilTurns('a', 'b', 'c')
    await end(c)
    await untilTurns('a', 'b', 'c', 'd')
    await end(d)
  })

  it('are for one at once of those that work, and one that waits passes them by', async () => {
    const a = await ask('a', 'works')
    const b = await ask('b', 'works')
    const c = await ask('c', 'waits')
    await untilTurns('a', 'c')
    const d = await ask('d', 'waits')
    await end(a)
    await untilTurns('a', 'c', 'b')
    await end(b)
    await untilTurns('a', 'c', 'b', 'd')
    await Promise.all([c, d].map(end))
  })

  it('pass by one that died while it waited', async () => {
    const a = await ask('a', 'alone')
    await untilTurns('a')
    const b = await ask('b', 'alone')
    const c = await ask('c', 'alone')
    await end(b)
    await end(a)
    await untilTurns('a', 'c')
    await end(c)
  })

  it('are taken alone by a file nobody named', () => {
    expect(turnOf('/checkout/test/system/push.spec.ts')).toBe('waits')
    expect(turnOf('/checkout/test/system/build.spec.ts')).toBe('works')
    expect(turnOf('/checkout/test/system/container-kill.spec.ts')).toBe('alone')
  })

  it('are asked for by those that work and those that wait one after the other, and at last by those alone', () => {
    const kinds: Record<string, Turn> = { a: 'alone', b: 'works', c: 'waits', d: 'waits', e: 'works', f: 'waits' }
    expect(inOrderOfTurns(Object.keys(kinds), (file) => kinds[file] ?? 'alone').join('')).toBe('bcedfa')
  })
})
