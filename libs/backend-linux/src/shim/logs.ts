import { readFileSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import type { LogChunk, ProcessExit } from '@croft/garden-api'

/** Absolute offsets of the first byte and of the end, little-endian, before the contents. */
const HEAD_BYTES = 16
const FILES = { stdout: 'out.log', stderr: 'err.log' } as const
/** So often a log is looked at that is written over while it is read. */
const MAX_LOOKS = 20

interface Piece {
  base: number
  data: Buffer
}

/** What a file holds from `fromOffset` on; all of it when it begins later. */
async function readPiece(path: string, fromOffset = 0): Promise<Piece | 'none' | 'changed'> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'none'
    throw error
  }
  try {
    const head = Buffer.alloc(HEAD_BYTES)
    const readHead = async (): Promise<number> => (await file.read(head, 0, HEAD_BYTES, 0)).bytesRead
    if ((await readHead()) < HEAD_BYTES) return 'none'
    const first = head.readBigUInt64LE(0)
    const base = Number(first)
    const size = Math.min(Number(head.readBigUInt64LE(8)) - base, (await file.stat()).size - HEAD_BYTES)
    const skipped = Math.min(Math.max(0, fromOffset - base), size)
    if (skipped >= size) return { base: base + skipped, data: Buffer.alloc(0) }
    const { bytesRead, buffer } = await file.read(Buffer.alloc(size - skipped), 0, size - skipped, HEAD_BYTES + skipped)
    /* the shim says in the head that it begins anew, and then writes over what was there */
    if ((await readHead()) < HEAD_BYTES || head.readBigUInt64LE(0) !== first) return 'changed'
    return { base: base + skipped, data: buffer.subarray(0, bytesRead) }
  } finally {
    await file.close()
  }
}

const isPiece = (read: Piece | 'none' | 'changed'): read is Piece => typeof read !== 'string'

/**
 * What is kept of one stream from `fromOffset` on. The shim appends to one file, and when that is full exchanges it for the
 * one before and begins that anew; so two files that fit together are whole, and are read again when that came between.
 */
export async function readKeptLog(folder: string, stream: 'stdout' | 'stderr', fromOffset = 0): Promise<LogChunk> {
  const path = join(folder, FILES[stream])
  // who follows a stream is mostly at its end: the rest is not read again
  const tail = await readPiece(path, fromOffset)
  if (isPiece(tail) && tail.base <= fromOffset) return cut(stream, [tail], fromOffset)
  let pieces: Piece[] = []
  for (let look = 1; look <= MAX_LOOKS; look++) {
    const older = await readPiece(`${path}.1`)
    const newer = await readPiece(path)
    pieces = [older, newer].filter(isPiece)
    if (older === 'changed' || newer === 'changed') continue
    if (newer === 'none') break
    if (older === 'none' ? newer.base === 0 : older.base + older.data.length <= newer.base) break
  }
  return cut(stream, pieces, fromOffset)
}

/** One chunk out of the kept pieces; a gap between them (a disk that was full) counts as dropped. Pure. */
export function cut(stream: 'stdout' | 'stderr', pieces: readonly Piece[], fromOffset: number): LogChunk {
  const last = pieces.at(-1)
  if (last === undefined) return { stream, offset: fromOffset, data: Buffer.alloc(0), droppedBytes: 0 }
  const first = pieces[0] ?? last
  const isWhole = first === last || first.base + first.data.length === last.base
  const start = isWhole ? first.base : last.base
  const data = isWhole && first !== last ? Buffer.concat([first.data, last.data]) : last.data
  const end = start + data.length
  const offset = Math.min(Math.max(fromOffset, start), Math.max(end, fromOffset))
  return {
    stream,
    offset,
    data: data.subarray(Math.min(offset - start, data.length)),
    droppedBytes: Math.max(0, offset - fromOffset),
  }
}

/** How a process ended, from its folder; null while it runs. Read at once: the file is small and mostly not there. */
export function readExit(folder: string): ProcessExit | null {
  const text = readIfThere(join(folder, 'exit'))
  if (text === null) return null
  const [exitCode = 0, signal = 0, oom = 0, exitedAtMs = 0] = text.trim().split(' ').map(Number)
  return { exitCode, signal: signal || null, isOutOfMemory: oom === 1, exitedAtMs }
}

/** Host pid and start of a process, from its folder; null when it never started. */
export function readStarted(folder: string): { pid: number; startedAtMs: number } | null {
  const text = readIfThere(join(folder, 'started'))
  if (text === null) return null
  const [pid = 0, startedAtMs = 0] = text.trim().split(' ').map(Number)
  return { pid, startedAtMs }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}
