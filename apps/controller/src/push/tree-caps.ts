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

/** One entry of `git ls-tree -r -t -z`. */
export interface TreeEntry {
  mode: string
  type: 'blob' | 'tree' | 'commit'
  objectId: string
  /** As git stores it: bytes, not text. */
  path: Buffer
}

/**
 * Splits the output of `git ls-tree -r -t -z` into entries, whatever its chunks are.
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

const DOT = 0x2e
const FIELDS = /^(\d{6}) (blob|tree|commit) ([0-9a-f]{40,64})$/

function entryOf(record: Buffer): TreeEntry {
  const tab = record.indexOf(0x09)
  const match = FIELDS.exec(record.toString('latin1', 0, Math.max(tab, 0)))
  if (tab < 0 || match === null) throw new RangeError('git ls-tree said something unexpected')
  const [, mode = '', type, objectId = ''] = match
  return {
    mode,
    type: type as TreeEntry['type'],
    objectId,
    path: Buffer.from(record.subarray(tab + 1)),
  }
}

/**
 * Counts the entries and bytes of one commit and says which cap it breaks, at the first entry that breaks one. Names and sizes
 * are judged apart: sizes cost git much more, and a bomb ends before any is asked for.
 */
export class TreeCaps {
  #entries = 0
  #expandedBytes = 0

  /** Undefined while all is well. */
  add(entry: Pick<TreeEntry, 'path'>): Refusal | undefined {
    this.#entries += 1
    if (this.#entries > TREE_CAPS.entries) {
      return tooMuch(`the commit holds more than ${TREE_CAPS.entries} files and folders`, 'commit less')
    }
    return hostilePath(entry.path)
  }

  /** The size of a blob, and how often it is in the tree. */
  addSize(path: Buffer, bytes: number, times: number): Refusal | undefined {
    this.#expandedBytes += bytes * times
    if (bytes > TREE_CAPS.blobBytes) {
      return tooMuch(
        `${shown(path)} is ${megabytes(bytes)} MB, the limit for one file is ${megabytes(TREE_CAPS.blobBytes)} MB`,
      )
    }
    if (this.#expandedBytes > TREE_CAPS.expandedBytes) {
      return tooMuch(`the files of the commit are more than ${megabytes(TREE_CAPS.expandedBytes)} MB in all`)
    }
    return undefined
  }
}

function shown(path: Buffer): string {
  return named(path.toString('utf8'))
}

function hostilePath(bytes: Buffer): Refusal | undefined {
  if (bytes.length > TREE_CAPS.pathBytes) {
    return {
      ...badName(`a path is longer than ${TREE_CAPS.pathBytes} bytes: ${shown(bytes)}`),
      suggestion: 'use shorter names',
    }
  }
  let depth = 1
  let nameStart = 0
  let isAscii = true
  for (let at = 0; at <= bytes.length; at++) {
    const byte = bytes[at]
    if (byte !== undefined && byte !== 0x2f) {
      if (byte >= 0x80) isAscii = false
      else if (byte < 0x20 || byte === 0x7f) return badName(`a file name holds a control character: ${shown(bytes)}`)
      continue
    }
    const nameBytes = at - nameStart
    if (nameBytes > TREE_CAPS.nameBytes) {
      return badName(`a file name is longer than ${TREE_CAPS.nameBytes} bytes: ${shown(bytes)}`)
    }
    const isDots = nameBytes <= 2 && bytes.subarray(nameStart, at).every((char) => char === DOT)
    if (isDots) return badName(`a path is not allowed: ${shown(bytes)}`)
    if (byte === 0x2f) depth += 1
    nameStart = at + 1
  }
  if (depth > TREE_CAPS.depth) {
    return tooMuch(`folders are nested deeper than ${TREE_CAPS.depth}: ${shown(bytes)}`, 'use fewer levels of folders')
  }
  if (!isAscii && !isUtf8(bytes)) return badName(`a file name is not UTF-8: ${shown(bytes)}`)
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
