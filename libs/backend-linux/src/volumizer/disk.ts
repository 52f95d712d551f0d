import { open, stat } from 'node:fs/promises'
import { run } from '@croft/kit'

const MKFS_TIMEOUT_MS = 30_000
/** Below this ext4 has no room for its own structures. */
const MIN_DISK_BYTES = 4 * 1024 * 1024
const BYTES_PER_INODE = 16_384

export interface DiskLimit {
  bytes: number
  /** 0: as many as the size suggests. */
  inodes: number
}

/** A sparse ext4 image that holds what a container writes; it takes host space only as it fills. */
export async function makeDisk(path: string, limit: DiskLimit): Promise<void> {
  const bytes = Math.max(MIN_DISK_BYTES, Math.ceil(limit.bytes / 4096) * 4096)
  const inodes = limit.inodes > 0 ? limit.inodes + 16 : Math.max(1024, Math.ceil(bytes / BYTES_PER_INODE))
  const file = await open(path, 'wx', 0o600)
  try {
    await file.truncate(bytes)
  } finally {
    await file.close()
  }
  const features = ['-O', '^has_journal,^resize_inode', '-E', 'lazy_itable_init=1,nodiscard']
  await run('mkfs.ext4', ['-q', '-F', '-b', '4096', '-m', '0', '-N', String(inodes), ...features, path], {
    timeoutMs: MKFS_TIMEOUT_MS,
  })
}

/** Whether the host can make and mount such images. */
export async function canMakeDisks(): Promise<boolean> {
  try {
    await run('mkfs.ext4', ['-V'], { timeoutMs: MKFS_TIMEOUT_MS })
    return (await stat('/dev/loop-control')).isCharacterDevice()
  } catch {
    return false // whatever the reason: a spec that asks for a disk limit will be refused
  }
}
