import type { Refusal } from './refusal.js'
import { named } from './text.js'

/** What one commit may hold; checked before anything of it is unpacked. Pure. */
export const TREE_CAPS = {
  entries: 200_000,
  expandedBytes: 2 * 1024 ** 3,
  depth: 64,
  pathBytes: 4_096,
  nameBytes: 255,
  blobBytes: 500 * 1024 ** 2,
} as const

/** One entry of `git ls-tree -r -t -l -z`. */
export interface TreeEntry {
  mode: string
  type: 'blob' | 'tree' | 'commit'
  objectId: string
  /** 0 for trees and submodules. */
  bytes: number
  /** As git stores it: bytes, not text. */
  path: Buffer
}

/**
 * Splits the output of `git ls-tree -r -t -l -z` into entries, whatever its chunks are.
 * @throws RangeError when it is something else.
 */
export class TreeReader {
  #pending: Buffer = Buffer.alloc(0)

  read(chunk: Buffer): TreeEntry[] {
    const entries: TreeEntry[] = []
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    let at = 0
    for (let end = bytes.indexOf(0, at); end !== -1; end = bytes.indexOf(0, at)) {
      entries.push(entryOf(bytes.subarray(at, end)))
      at = end + 1
    }
    this.#pending = bytes.subarray(at)
    return entries
  }
}

const FIELDS = /^(\d{6}) (blob|tree|commit) ([0-9a-f]{40,64}) +(-|\d+)$/

function entryOf(record: Buffer): TreeEntry {
  const tab = record.indexOf(0x09)
  const match = FIELDS.exec(record.toString('latin1', 0, Math.max(tab, 0)))
  if (tab < 0 || match === null) throw new RangeError('git ls-tree said something unexpected')
  const [, mode = '', type, objectId = '', bytes = '-'] = match
  return {
    mode,
    type: type as TreeEntry['type'],
    objectId,
    bytes: bytes === '-' ? 0 : Number(bytes),
    path: Buffer.from(record.subarray(tab + 1)),
  }
}

/** Counts the entries of one commit and says which cap it breaks, at the first entry that breaks one. */
export class TreeCaps {
  #entries = 0
  #expandedBytes = 0

  /** Undefined while all is well. */
  add(entry: TreeEntry): Refusal | undefined {
    this.#entries += 1
    this.#expandedBytes += entry.bytes
    const path = named(entry.path.toString('utf8'))
    if (this.#entries > TREE_CAPS.entries) {
      return tooMuch(`the commit holds more than ${TREE_CAPS.entries} files and folders`, 'commit less, or use .croftignore')
    }
    if (entry.bytes > TREE_CAPS.blobBytes) {
      return tooMuch(`${path} is ${megabytes(entry.bytes)} MB, the limit for one file is ${megabytes(TREE_CAPS.blobBytes)} MB`)
    }
    if (this.#expandedBytes > TREE_CAPS.expandedBytes) {
      return tooMuch(`the files of the commit are more than ${megabytes(TREE_CAPS.expandedBytes)} MB in all`)
    }
    return hostilePath(entry.path, path)
  }
}

function hostilePath(bytes: Buffer, path: string): Refusal | undefined {
  if (bytes.length > TREE_CAPS.pathBytes) {
    return { ...badName(`a path is longer than ${TREE_CAPS.pathBytes} bytes: ${path}`), suggestion: 'use shorter names' }
  }
  let depth = 1
  let nameStart = 0
  for (let at = 0; at <= bytes.length; at++) {
    const byte = bytes[at]
    if (byte !== undefined && byte !== 0x2f) {
      if (byte < 0x20 || byte === 0x7f) return badName(`a file name holds a control character: ${path}`)
      continue
    }
    const nameBytes = at - nameStart
    if (nameBytes > TREE_CAPS.nameBytes) {
      return badName(`a file name is longer than ${TREE_CAPS.nameBytes} bytes: ${path}`)
    }
    const name = bytes.toString('latin1', nameStart, at)
    if (name === '' || name === '.' || name === '..') return badName(`a path is not allowed: ${path}`)
    if (byte === 0x2f) depth += 1
    nameStart = at + 1
  }
  if (depth > TREE_CAPS.depth) {
    return tooMuch(`folders are nested deeper than ${TREE_CAPS.depth}: ${path}`, 'use fewer levels of folders')
  }
  if (bytes.some((byte) => byte >= 0x80) && !isUtf8(bytes)) return badName(`a file name is not UTF-8: ${path}`)
  return undefined
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8')).equals(bytes)
}

function tooMuch(cause: string, suggestion = 'keep large data out of git, in object storage or an add-on'): Refusal {
  return { reason: 'too-large', cause, suggestion }
}

function badName(cause: string): Refusal {
  return { reason: 'file-name', cause, suggestion: 'rename it and commit again' }
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1024 ** 2)
}
