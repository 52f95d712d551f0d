import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { disarmLock } from './postgres.js'
import { processRef } from './process-ref.js'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'croft-postgres-'))
  file = join(folder, 'postmaster.pid')
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('the lock file of a killed PostgreSQL', () => {
  it('stays as it is while its server lives', async () => {
    writeFileSync(file, `${process.pid}\n/data\n123\n`)
    await disarmLock(file)
    expect(readFileSync(file, 'utf8')).toBe(`${process.pid}\n/data\n123\n`)
  })
  it('names nobody once the server is gone, and keeps all else', async () => {
    const child = spawn('/bin/true')
    await new Promise((resolve) => child.once('exit', resolve))
    writeFileSync(file, `${child.pid}\n/data\n123\n   4567890    12\n`)
    await disarmLock(file)
    expect(readFileSync(file, 'utf8')).toBe('4194305\n/data\n123\n   4567890    12\n')
  })
  it('names nobody when the server is a corpse that nobody reaps', async () => {
    // its parent never waits for it
    const parent = spawn('/bin/sh', ['-c', '/bin/true & echo $!; exec /bin/sleep 60'])
    const pid = Number(
      await new Promise<string>((resolve) => parent.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()))),
    )
    await waitFor(() => processRef(pid) === undefined, { what: 'the child to be a corpse', timeoutMs: 5_000 })
    writeFileSync(file, `${pid}\n/data\n`)
    await disarmLock(file)
    parent.kill('SIGKILL')
    expect(readFileSync(file, 'utf8')).toBe('4194305\n/data\n')
  })
  it('that is not there is no matter', async () => {
    await expect(disarmLock(file)).resolves.toBeUndefined()
  })
})
