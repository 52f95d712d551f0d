import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { posix } from 'node:path'
import { extract, pack } from 'tar-stream'
import { messageOf } from '@croft/kit'
import { StreamError } from '../errors.js'

/** The files of a fake container: absolute path to contents; directories are where files are. */
export class FakeFiles {
  readonly #files = new Map<string, Buffer>()

  get(path: string): Buffer | undefined {
    return this.#files.get(posix.normalize(path))
  }
  set(path: string, data: Buffer | string): void {
    this.#files.set(posix.normalize(path), Buffer.from(data))
  }
  /** @throws StreamError */
  async unpack(path: string, tar: Readable): Promise<void> {
    const found: [string, Buffer][] = []
    const reader = extract()
    reader.on('entry', (header, stream, next) => {
      const parts: Buffer[] = []
      stream.on('data', (part) => parts.push(part as Buffer))
      stream.on('error', () => undefined) // the pipeline fails with it
      stream.on('end', () => {
        if (header.type === 'file') found.push([header.name, Buffer.concat(parts)])
        next()
      })
    })
    try {
      await pipeline(tar, reader)
    } catch (error) {
      throw new StreamError('in', messageOf(error))
    }
    for (const [name, data] of found) this.set(posix.join(path, name), data)
  }
  /** @throws StreamError when nothing is there */
  pack(path: string): Readable {
    const isInside = path.endsWith('/')
    const root = posix.normalize(path).replace(/\/+$/, '')
    const chosen = [...this.#files].filter(([name]) => name === root || name.startsWith(`${root}/`))
    if (chosen.length === 0) throw new StreamError('out', `${path}: no such file or directory`)
    const out = pack()
    const base = isInside ? root : posix.dirname(root)
    for (const [name, data] of chosen) out.entry({ name: posix.relative(base, name) }, data)
    out.finalize()
    return Readable.from(out)
  }
}
