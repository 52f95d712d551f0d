import { open, stat, type FileHandle } from 'node:fs/promises'
import { run } from '@croft/kit'
import { parseExtents } from './extents.js'

const COMMAND_TIMEOUT_MS = 30_000
const BLOCK_BYTES = 4096
const BYTES_PER_INODE = 16_384
/** A small disk has one for each block, up to this. */
const USUAL_INODES = 1024
/** What an empty disk has used: ext4's reserved inodes, `lost+found`, the overlay's two directories and one inside. */
export const OWN_INODES = 14
const KEPT_TEMPLATES = 8
const MAX_TEMPLATE_BYTES = 4 * 1024 * 1024

export interface DiskLimit {
  bytes: number
  /** 0: as many as the size suggests. */
  inodes: number
}

/** What mkfs wrote into an image of one shape; the rest of it is a hole. */
type Template = readonly { offset: number; data: Buffer }[]

/** By shape; null for one that is too big to keep. The oldest goes first. */
const templates = new Map<string, Promise<Template | null>>()

/**
 * A sparse ext4 image that holds what a container writes, its own structures included, and takes host space only as it fills.
 * The first of a shape is made by mkfs, the next ones are written as it was. At least MIN_DISK_BYTES.
 */
export async function makeDisk(path: string, limit: DiskLimit): Promise<void> {
  const blocks = Math.floor(limit.bytes / BLOCK_BYTES)
  const bytes = blocks * BLOCK_BYTES
  const usual = Math.max(Math.min(USUAL_INODES, blocks), Math.ceil(bytes / BYTES_PER_INODE))
  const inodes = limit.inodes > 0 ? limit.inodes + OWN_INODES : usual
  const shape = `${bytes} ${inodes}`
  const template = await templates.get(shape)
  if (template !== undefined && template !== null) {
    await writeDisk(path, bytes, template)
    return
  }
  await formatDisk(path, bytes, inodes)
  if (template === undefined && !templates.has(shape)) keep(shape, readTemplate(path))
  await templates.get(shape) // nobody changes the image before it is read
}

function keep(shape: string, template: Promise<Template | null>): void {
  /* a host whose file system tells nothing of holes makes every disk with mkfs */
  templates.set(
    shape,
    template.catch(() => null),
  )
  const [oldest] = templates.keys()
  if (templates.size > KEPT_TEMPLATES && oldest !== undefined) templates.delete(oldest)
}

async function emptyFile(path: string, bytes: number): Promise<FileHandle> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.truncate(bytes)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

async function writeDisk(path: string, bytes: number, template: Template): Promise<void> {
  const file = await emptyFile(path, bytes)
  try {
    for (const { offset, data } of template) await file.write(data, 0, data.length, offset)
  } finally {
    await file.close()
  }
}

async function formatDisk(path: string, bytes: number, inodes: number): Promise<void> {
  await (await emptyFile(path, bytes)).close()
  const features = ['-O', '^has_journal,^resize_inode', '-E', 'lazy_itable_init=1,nodiscard']
  const shape = ['-b', String(BLOCK_BYTES), '-m', '0', '-N', String(inodes)]
  await run('mkfs.ext4', ['-q', '-F', ...shape, ...features, path], { timeoutMs: COMMAND_TIMEOUT_MS })
}

/** Every block of a fresh image that is not empty, runs of them together. */
async function readTemplate(path: string): Promise<Template | null> {
  const { stdout } = await run('filefrag', ['-v', '-s', '-b4096', path], { timeoutMs: COMMAND_TIMEOUT_MS })
  const extents = parseExtents(stdout.toString())
  if (extents === null) return null
  const found: { offset: number; data: Buffer }[] = []
  let total = 0
  const file = await open(path, 'r')
  try {
    for (const { block, count } of extents) {
      const data = Buffer.alloc(count * BLOCK_BYTES)
      await file.read(data, 0, data.length, block * BLOCK_BYTES)
      for (let at = 0; at < data.length; at += BLOCK_BYTES) {
        const piece = data.subarray(at, at + BLOCK_BYTES)
        if (piece.every((byte) => byte === 0)) continue
        total += piece.length
        if (total > MAX_TEMPLATE_BYTES) return null
        const offset = block * BLOCK_BYTES + at
        const last = found.at(-1)
        if (last !== undefined && last.offset + last.data.length === offset)
          last.data = Buffer.concat([last.data, piece])
        else found.push({ offset, data: Buffer.from(piece) })
      }
    }
  } finally {
    await file.close()
  }
  return found
}

let hasMkfs = false

/** Whether the host can make and mount such images. That mkfs is there is asked until it is, and then believed. */
export async function canMakeDisks(): Promise<boolean> {
  try {
    if (!hasMkfs) await run('mkfs.ext4', ['-V'], { timeoutMs: COMMAND_TIMEOUT_MS })
    hasMkfs = true
    return (await stat('/dev/loop-control')).isCharacterDevice()
  } catch {
    return false // whatever the reason: a spec that asks for a disk limit will be refused
  }
}
