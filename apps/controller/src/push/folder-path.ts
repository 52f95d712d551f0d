import { type Refusal } from './refusal.js'
import { named } from './text.js'
import { TreeCaps } from './tree-caps.js'

/** One entry of an archive, as its header says. */
export interface ArchiveEntry {
  name: string
  type: string
  linkname: string | null
  size: number
  /** Permission bits. */
  mode: number
  /** Whether another header says another size. */
  hasOtherSize: boolean
}

/** What an entry becomes. */
export type Placed =
  | { kind: 'file'; path: string; isExecutable: boolean; size: number }
  | { kind: 'symlink'; path: string; target: string }
  | { kind: 'nothing' }
  | { kind: 'refused'; refusal: Refusal }

const MAX_TARGET_BYTES = 4_096

/**
 * Decides what each entry of an uploaded folder becomes, in their order. Files and symbolic links are placed, folders come with
 * their files, everything else is refused: names that lead out, git's own, a name twice, and a name below one that is no folder,
 * so that nothing is ever written through a link. Pure.
 */
export class FolderPaths {
  readonly #caps = new TreeCaps()
  readonly #files = new Set<string>()
  readonly #folders = new Set<string>()

  place(entry: ArchiveEntry): Placed {
    const path = entry.name.replace(/^(?:\.\/+)+/, '').replace(/\/+$/, '')
    if (entry.type === 'directory') return path === '' || path === '.' ? { kind: 'nothing' } : this.#folder(path)
    const refusal = this.#refusalOf(path, entry) ?? this.#caps.add({ path: Buffer.from(path) }) ?? this.#take(path)
    if (refusal !== undefined) return { kind: 'refused', refusal }
    if (entry.type === 'file') {
      return { kind: 'file', path, isExecutable: (entry.mode & 0o100) !== 0, size: entry.size }
    }
    return { kind: 'symlink', path, target: entry.linkname ?? '' }
  }

  #folder(path: string): Placed {
    const refusal = hostile(path) ?? this.#caps.add({ path: Buffer.from(path) })
    if (refusal !== undefined) return { kind: 'refused', refusal }
    return this.#files.has(path) ? { kind: 'refused', refusal: twice(path) } : { kind: 'nothing' }
  }

  #refusalOf(path: string, entry: ArchiveEntry): Refusal | undefined {
    const refusal = hostile(path)
    if (refusal !== undefined) return refusal
    if (entry.hasOtherSize) return bad(path, 'is larger than a file of a folder may be')
    if (entry.type === 'file') return undefined
    if (entry.type !== 'symlink')
      return bad(path, `is neither a file, a folder nor a symbolic link, but a ${entry.type}`)
    const target = entry.linkname ?? ''
    const isFine = target !== '' && !target.includes('\0') && Buffer.byteLength(target) <= MAX_TARGET_BYTES
    return isFine ? undefined : bad(path, 'is a symbolic link to nowhere')
  }

  /** Its name is free, and so is every folder above it. */
  #take(path: string): Refusal | undefined {
    if (this.#files.has(path) || this.#folders.has(path)) return twice(path)
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      const folder = path.slice(0, slash)
      if (this.#files.has(folder)) return twice(folder)
      if (this.#folders.has(folder)) break
      this.#folders.add(folder)
    }
    this.#files.add(path)
    return undefined
  }
}

function hostile(path: string): Refusal | undefined {
  if (path.startsWith('/')) return bad(path, 'is a path from the root')
  if (path.includes('\uFFFD')) return bad(path, 'is not UTF-8')
  const names = path.split('/')
  if (names.some((name) => name === '' || name === '.' || name === '..')) return bad(path, 'leads out of the folder')
  if (names.some((name) => name.toLowerCase() === '.git')) return bad(path, 'belongs to git')
  return undefined
}

function twice(path: string): Refusal {
  return bad(path, 'is in it twice')
}

function bad(path: string, what: string): Refusal {
  return {
    reason: 'folder',
    cause: `the folder cannot be taken: ${named(path)} ${what}`,
    suggestion: 'remove it, or name it in .dockerignore, and deploy again',
  }
}
