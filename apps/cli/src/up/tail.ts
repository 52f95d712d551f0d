import { closeSync, fstatSync, openSync, readSync, watch } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import { paint } from '../output.js'
import { COMPONENTS } from './component.js'
import { readableLine } from './log-lines.js'

const COLOURS = ['cyan', 'magenta', 'green', 'yellow', 'blue', 'white'] as const
const CHUNK_BYTES = 64 * 1024

/** Prints what is added to the logs of a home, each line behind the name of its component, until the signal. */
export function tailLogs(home: string, print: (line: string) => void, signal: AbortSignal): void {
  const folder = join(home, 'log')
  const names = [...COMPONENTS, 'supervisor'] as const
  const logs = names.map((name, index) => {
    const file = join(folder, `${name}.log`)
    return {
      file,
      prefix: paint(COLOURS[index % COLOURS.length] ?? 'white', `${name.padEnd(10)} |`),
      at: sizeOf(file),
      rest: '',
    }
  })
  const readOn = (): void => {
    for (const log of logs) {
      const { text, at } = readFrom(log.file, log.at)
      log.at = at
      const lines = (log.rest + text).split('\n')
      log.rest = lines.pop() ?? ''
      for (const line of lines) print(`${log.prefix} ${readableLine(line)}`)
    }
  }
  const watcher = watch(folder, readOn)
  signal.addEventListener('abort', () => watcher.close(), { once: true })
}

function sizeOf(file: string): number {
  return readFrom(file, Number.MAX_SAFE_INTEGER).at
}

/** What a file holds from an offset on; a file that became shorter was cut, and is read from its start. */
function readFrom(file: string, offset: number): { text: string; at: number } {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { text: '', at: 0 }
    throw error
  }
  try {
    const { size } = fstatSync(descriptor)
    if (offset === Number.MAX_SAFE_INTEGER) return { text: '', at: size }
    let at = offset > size ? 0 : offset
    const parts: Buffer[] = []
    while (at < size) {
      const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size - at))
      const read = readSync(descriptor, chunk, 0, chunk.length, at)
      if (read === 0) break
      parts.push(chunk.subarray(0, read))
      at += read
    }
    return { text: Buffer.concat(parts).toString('utf8'), at }
  } finally {
    closeSync(descriptor)
  }
}
