import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { Output } from './output.js'
import { StreamTable } from './stream-table.js'

const MEGABYTE = 1024 * 1024

const sink = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })

function outputOf(bytes: number): Output {
  const output = new Output({ patienceMs: 1000, onDropped: () => undefined, onBlocked: () => undefined })
  output.write(Buffer.alloc(bytes))
  output.finish()
  return output
}

describe('output of finished processes that nobody comes for', () => {
  it('is kept for each by its own id, and only for the process it is of', () => {
    const table = new StreamTable(60_000)
    const stdout = outputOf(10)
    const id = table.add({ handle: 'h', processId: 'p', outputs: { stdout } })
    table.retire(id)
    expect(table.find(id, 'h', 'p')?.outputs.stdout).toBe(stdout)
    expect(table.find(id, 'h', 'other')).toBeUndefined()
    expect(table.find(id, 'other', 'p')).toBeUndefined()
    table.close()
    expect(table.find(id, 'h', 'p')).toBeUndefined()
  })

  it('is done with once a client came for each of it, late or early', () => {
    const table = new StreamTable(60_000)
    const [stdout, stderr] = [outputOf(10), outputOf(10)]
    const id = table.add({ handle: 'h', processId: 'p', outputs: { stdout, stderr } })
    stdout.claim(sink())
    table.claimed(id)
    table.retire(id)
    expect(table.find(id, 'h', 'p')).toBeDefined()
    stderr.claim(sink())
    table.claimed(id)
    expect(table.find(id, 'h', 'p')).toBeUndefined()
    table.close()
  })

  it('takes at most 64 MiB of all together: the oldest goes', () => {
    const table = new StreamTable(60_000)
    const ids = Array.from({ length: 100 }, () => {
      const id = table.add({ handle: 'h', processId: 'p', outputs: { stdout: outputOf(MEGABYTE) } })
      table.retire(id)
      return id
    })
    const kept = ids.filter((id) => table.find(id, 'h', 'p') !== undefined)
    expect(kept).toEqual(ids.slice(-64))
    table.close()
  })
})
