import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'

/** Writes a file so that a reader sees the old content or the new, never a part, also after a crash of the host. */
export function writeFileWhole(path: string, content: string, mode = 0o600): void {
  const fresh = `${path}.new`
  const file = openSync(fresh, 'w', mode)
  try {
    writeSync(file, content)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(fresh, path)
}
