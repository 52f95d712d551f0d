import { randomUUID } from 'node:crypto'
import { mkdir, rename, symlink } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes `path` a symbolic link to `target`, in place of one that is there: whoever reads it sees the former or the new one, and of
 * two at once the last one stays. Folders above it are made.
 */
export async function replaceLink(path: string, target: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  const draft = `${path}.${randomUUID()}`
  await symlink(target, draft)
  await rename(draft, path)
}
