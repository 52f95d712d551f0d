import { copyFileSync, renameSync } from 'node:fs'

/** Moves a file, by copying where the other folder is on another file system. */
export function moveFile(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch {
    copyFileSync(from, to)
  }
}
