/** An archive the kernel takes as its first root file system (cpio, "newc"). Pure. */
export interface CpioEntry {
  path: string
  /** With the type's bits, as stat(2) gives it. */
  mode: number
  data?: Buffer
}

const ALIGN = 4
const FILE = 0o100000
const FOLDER = 0o040000

const pad = (bytes: number): Buffer => Buffer.alloc((ALIGN - (bytes % ALIGN)) % ALIGN)

function record(entry: CpioEntry, inode: number): Buffer[] {
  const data = entry.data ?? Buffer.alloc(0)
  const name = Buffer.from(`${entry.path}\0`)
  const links = (entry.mode & FOLDER) === FOLDER ? 2 : 1
  /* inode, mode, uid, gid, links, mtime, size, four device numbers, length of the name, checksum */
  const numbers = [inode, entry.mode, 0, 0, links, 0, data.length, 0, 0, 0, 0, name.length, 0]
  const head = Buffer.from(`070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`)
  return [head, name, pad(head.length + name.length), data, pad(data.length)]
}

export function cpio(entries: readonly CpioEntry[]): Buffer {
  const records = entries.flatMap((entry, index) => record(entry, index + 1))
  return Buffer.concat([...records, ...record({ path: 'TRAILER!!!', mode: 0 }, 0)])
}

export const cpioFile = (path: string, data: Buffer, mode = 0o755): CpioEntry => ({ path, mode: FILE | mode, data })
export const cpioFolder = (path: string): CpioEntry => ({ path, mode: FOLDER | 0o755 })
