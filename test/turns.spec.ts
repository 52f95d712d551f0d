import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { waitFor } from '@croft/kit'
import { giveTurns, runsSideBySide } from './support/turns.js'

let folder: string
let end: () => void
let turns: string[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'turns-'))
  end = await giveTurns(join(folder, 'socket'))
  turns = []
})
afterEach(() => {
  end()
  rmSync(folder, { recursive: true })
})

async function ask(name: string, how: 'shared' | 'alone'): Promise<Socket> {
  const socket = connect(join(folder, 'socket'))
  await once(socket, 'connect')
  socket.on('data', () => turns.push(name))
  socket.write(how)
  return socket
}
const untilTurns = (...names: string[]): Promise<boolean> =>
  waitFor(() => turns.join() === names.join(), { what: `turns of ${names.join()}`, timeoutMs: 2_000 })

describe('turns of test files', () => {
  it('are for some at once, for others alone, and in the order in which they were asked for', async () => {
    const a = await ask('a', 'shared')
    const b = await ask('b', 'shared')
    await untilTurns('a', 'b')
    const c = await ask('c', 'alone')
    const d = await ask('d', 'shared')
    a.destroy()
    await once(a, 'close')
    expect(turns).toEqual(['a', 'b'])
    b.destroy()
    await untilTurns('a', 'b', 'c')
    c.destroy()
    await untilTurns('a', 'b', 'c', 'd')
    d.destroy()
  })

  it('pass by one that died while it waited', async () => {
    const a = await ask('a', 'alone')
    await untilTurns('a')
    const b = await ask('b', 'alone')
    const c = await ask('c', 'alone')
    b.destroy()
    await once(b, 'close')
    a.destroy()
    await untilTurns('a', 'c')
    c.destroy()
  })

  it('are taken alone by a file nobody named', () => {
    expect(runsSideBySide('/checkout/test/system/push.spec.ts')).toBe(true)
    expect(runsSideBySide('/checkout/test/system/container-kill.spec.ts')).toBe(false)
  })
})
