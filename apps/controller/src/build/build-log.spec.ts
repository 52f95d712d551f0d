import { mkdtempSync, rmSync } from 'node:fs'
import { systemClock, waitFor, type BuildId } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ControllerConfig } from '../config.js'
import { BuildLog, cleanLine } from './build-log.js'

const id = '01234567-89ab-7def-8123-456789abcdef' as BuildId
let home = ''
let log: BuildLog
const openLog = async (): Promise<BuildLog> => {
  const opened = new BuildLog({ home } as ControllerConfig, systemClock)
  await opened.onModuleInit()
  return opened
}
beforeEach(async () => {
  home = mkdtempSync('/tmp/push-log-')
  log = await openLog()
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

describe('a build log', () => {
  it('is followed from its beginning to its end, also by somebody who comes late', async () => {
    let isOver = false
    const left = new AbortController()
    await log.append(id, Buffer.from('one\ntwo\n'))
    const heard: string[] = []
    const following = (async () => {
      for await (const chunk of log.tail(id, () => Promise.resolve(isOver), left.signal)) heard.push(chunk.toString())
    })()
    await waitFor(() => heard.join('') === 'one\ntwo\n', { what: 'what was said before', timeoutMs: 5_000 })
    await log.append(id, Buffer.from('three\n'))
    await waitFor(() => heard.join('').endsWith('three\n'), { what: 'what is said now', timeoutMs: 5_000 })
    isOver = true
    await log.append(id, Buffer.from('four\n'))
    await following
    expect(heard.join('')).toBe('one\ntwo\nthree\nfour\n')
  })
  it('gives whole lines to whoever follows, wherever the chunks are cut', async () => {
    const lines: string[] = []
    log.follow(id, (line) => lines.push(line))
    const bytes = Buffer.from('-----> grün\n       npm ci\nlast')
    for (const byte of bytes) await log.append(id, Buffer.from([byte]))
    expect(lines).toEqual(['-----> grün', '       npm ci'])
    await log.close(id)
    expect(lines.at(-1)).toBe('last')
    expect(await log.read(id)).toBe('-----> grün\n       npm ci\nlast\n')
  })
  it('goes on where it ended after a restart', async () => {
    await log.append(id, Buffer.from('one\n'))
    await (await openLog()).append(id, Buffer.from('two\n'))
    expect(await log.read(id)).toBe('one\ntwo\n')
  })
  it('is cut with a marker', async () => {
    const chunk = Buffer.from(`${'x'.repeat(999)}\n`.repeat(1_000))
    for (let n = 0; n < 12; n += 1) await log.append(id, chunk)
    const text = await log.read(id)
    expect(text.length).toBeLessThan(10.1 * 1024 * 1024)
    expect(text).toMatch(/cut here.*\n$/)
  })
  it.each([
    ['10%\r50%\r100%', '100%'],
    ['\u001b[31mred\u001b[0m', '\u001b[31mred\u001b[0m'],
    ['\u001b]0;title\u0007\u001b[2Jx\u0000\u0085', 'x'],
  ])('keeps of %j what a person may see', (line, expected) => {
    expect(cleanLine(line)).toBe(expected)
  })
  it('has no path for what is no id', async () => {
    await expect(log.read('../../etc/passwd' as BuildId)).rejects.toThrow(RangeError)
  })
})
