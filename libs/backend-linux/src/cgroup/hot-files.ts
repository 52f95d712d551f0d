import { closeSync, openSync, readSync } from 'node:fs'
import { errnoOf } from '@croft/kit'

/** Files of so many owners stay open: those that were read last. */
const MAX_OWNERS = 64
const MAX_FILE_BYTES = 65_536

const buffer = Buffer.alloc(MAX_FILE_BYTES)
const textOf = (fd: number): string => buffer.toString('latin1', 0, readSync(fd, buffer, 0, MAX_FILE_BYTES, 0))

/**
 * Files of the kernel that are read again and again, kept open, since opening one costs five times as much as reading it. They
 * belong to an owner, a cgroup or a link; the files of one that has gone say so, and another of its name gets new ones.
 */
export class HotFiles {
  readonly #open = new Map<string, Map<string, number>>()

  constructor(private readonly maxOwners = MAX_OWNERS) {}

  /** A file's text, at once. @throws ENOENT when there is none */
  read(owner: string, path: string): string {
    const files = this.#filesOf(owner)
    const known = files.get(path)
    if (known !== undefined) {
      try {
        return textOf(known)
      } catch (error) {
        if (errnoOf(error) !== 'ENODEV') throw error
        closeSync(known)
        files.delete(path)
      }
    }
    const fd = openSync(path, 'r')
    files.set(path, fd)
    return textOf(fd)
  }
  /** The same, or the fallback where there is no such file. */
  readOr(owner: string, path: string, fallback: string): string {
    try {
      return this.read(owner, path)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return fallback
      throw error
    }
  }
  /** Closes an owner's files. */
  forget(owner: string): void {
    for (const fd of this.#open.get(owner)?.values() ?? []) closeSync(fd)
    this.#open.delete(owner)
  }

  #filesOf(owner: string): Map<string, number> {
    const files = this.#open.get(owner) ?? new Map<string, number>()
    this.#open.delete(owner)
    this.#open.set(owner, files) // the last now
    const [oldest] = this.#open.keys()
    if (this.#open.size > this.maxOwners && oldest !== undefined) this.forget(oldest)
    return files
  }
}
