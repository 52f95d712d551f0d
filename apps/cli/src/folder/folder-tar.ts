import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pack, type Pack } from 'tar-stream'
import { changed, unreadable, type Folder, type FolderFile } from './folder-files.js'

/** The same time for all: git keeps none, and neither do the images. */
const MODIFIED = new Date(Date.UTC(1980, 0, 1, 0, 0, 1))

/** A folder as a tar, file after file as it is read. `onBytes` hears how many bytes of files have been sent. Fails with FolderUnusable. */
export function folderTar(folder: Folder, onBytes: (bytes: number) => void): Readable {
  const tar = pack()
  fill(tar, folder, onBytes).catch((error: unknown) => tar.destroy(error as Error))
  return Readable.from(tar, { objectMode: false })
}

async function fill(tar: Pack, { root, files }: Folder, onBytes: (bytes: number) => void): Promise<void> {
  let sent = 0
  const closed = new AbortController() // one for all waits: each of its own would leave its listeners behind
  tar.once('close', () => closed.abort())
  for (const file of files) {
    const header = { name: file.path, mtime: MODIFIED, uid: 0, gid: 0 }
    if (file.kind === 'symlink') {
      tar.entry({ ...header, type: 'symlink', mode: 0o777, linkname: file.target })
      continue
    }
    const entry = tar.entry({ ...header, type: 'file', mode: file.isExecutable ? 0o755 : 0o644, size: file.bytes })
    entry.on('error', () => undefined) // the pack says why
    for await (const chunk of contentOf(root, file)) {
      if (tar.destroyed) return
      if (!entry.write(chunk)) await once(entry, 'drain', { signal: closed.signal })
      onBytes((sent += chunk.length))
    }
    entry.end(undefined)
  }
  tar.finalize()
}

/** Exactly as many bytes as were there when the folder was listed. @throws FolderUnusable */
async function* contentOf(root: string, { path, bytes }: FolderFile & { kind: 'file' }): AsyncGenerator<Buffer> {
  if (bytes === 0) return
  let read = 0
  try {
    for await (const chunk of createReadStream(join(root, path), { end: bytes - 1 })) {
      read += (chunk as Buffer).length
      yield chunk as Buffer
    }
  } catch (error) {
    throw unreadable(path, error)
  }
  if (read < bytes) throw changed(path)
}
