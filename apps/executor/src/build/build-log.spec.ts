import { finished } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { FakeClock, silentLogger } from '@croft/kit'
import { BuildLog } from './build-log.js'

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

describe('the log of a build', () => {
  it('sends the first line at once and then at most every 50 ms, in order', async () => {
    const clock = new FakeClock()
    const sent: string[] = []
    const log = new BuildLog({ send: (text) => Promise.resolve(void sent.push(text)), clock, logger: silentLogger })
    log.step('one')
    await settle()
    expect(sent).toEqual(['-----> one\n'])
    log.detail('two')
    log.detail('three', 2100)
    await settle()
    expect(sent).toHaveLength(1)
    await clock.advance(50)
    await settle()
    expect(sent.slice(1)).toEqual([`       two\n${'       three'.padEnd(61)}2.1 s\n`])
  })

  it('keeps lines while the controller is away and sends each once', async () => {
    const clock = new FakeClock()
    const sent: string[] = []
    let isAway = true
    const log = new BuildLog({
      send: (text) => (isAway ? Promise.reject(new Error('away')) : Promise.resolve(void sent.push(text))),
      clock,
      logger: silentLogger,
    })
    log.detail('one')
    await settle()
    log.detail('two')
    isAway = false
    await clock.advance(1000)
    await settle()
    expect(sent.join('')).toBe('       one\n       two\n')
    await log.close()
  })

  it('cuts the output of a program into lines, characters split between pieces included', async () => {
    const sent: string[] = []
    const log = new BuildLog({
      send: (text) => Promise.resolve(void sent.push(text)),
      clock: new FakeClock(),
      logger: silentLogger,
    })
    const output = log.lines()
    const bytes = Buffer.from('first ä\nlast')
    output.write(bytes.subarray(0, 7))
    output.write(bytes.subarray(7))
    await finished(output.end())
    const closing = log.close()
    await settle()
    await closing
    expect(sent.join('')).toBe('       first ä\n       last\n')
  })

  it('says once that it is longer than is kept', async () => {
    let length = 0
    let timesFull = 0
    let text = ''
    const log = new BuildLog({
      send: (piece) => {
        length += piece.length
        text = piece
        return Promise.resolve()
      },
      clock: { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() },
      logger: silentLogger,
      onFull: () => (timesFull += 1),
    })
    for (let at = 0; at < 12; at += 1) {
      for (let line = 0; line < 250; line += 1) log.detail('x'.repeat(4000))
      await settle()
    }
    await log.close()
    expect(timesFull).toBe(1)
    expect(length).toBeLessThan(11 * 1024 * 1024)
    expect(text.endsWith('the rest is left out)\n')).toBe(true)
  })

  it('knows that too much was said also while nobody takes it', () => {
    let timesFull = 0
    const log = new BuildLog({
      send: () => new Promise(() => undefined),
      clock: new FakeClock(),
      logger: silentLogger,
      onFull: () => (timesFull += 1),
    })
    for (let line = 0; line < 3_000; line += 1) log.detail('x'.repeat(4000))
    expect(timesFull).toBe(1)
  })
})
