import { open, rename, type FileHandle } from 'node:fs/promises'

/**
 * Writes a file whole or not at all: whoever reads it, also after this process was killed, finds the former content or the new one. Its way
 * to the disk begins at once and is not waited for, so that a power cut may take what was written in the last moments before it and
 * leave that file empty.
 */
export async function writeWhole(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`
  const file = await open(fresh, 'w', 0o600)
  try {
    await file.writeFile(text)
    await rename(fresh, path)
  } catch (error) {
    await file.close()
    throw error
  }
  void finish(file)
}

/** Never rejects: a disk that fails tells whoever writes next. */
async function finish(file: FileHandle): Promise<void> {
  await file.datasync().catch(() => undefined)
  await file.close().catch(() => undefined)
}
