import { startGit } from './git.js'

const TIMEOUT_MS = 60_000
const MAX_OBJECT_BYTES = 2 * 1024 * 1024

/**
 * Reads small objects through one `git cat-file --batch`, in their order. For large ones see `SourceTar`.
 * @throws Error when an object is missing or larger than 2 MiB.
 */
export async function readObjects<T extends { objectId: string }>(
  repository: string,
  wanted: readonly T[],
  env: Record<string, string>,
  onObject: (wanted: T, bytes: Buffer) => void,
): Promise<void> {
  if (wanted.length === 0) return
  const child = startGit(repository, ['cat-file', '--batch'], env)
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
  try {
    child.on('error', () => undefined) // the stream below ends early, which is the failure
    child.stdin?.on('error', () => undefined)
    child.stderr?.resume()
    child.stdin?.end(wanted.map((object) => `${object.objectId}\n`).join(''))
    let pending: Buffer = Buffer.alloc(0)
    let next = 0
    for await (const chunk of child.stdout ?? []) {
      pending = pending.length === 0 ? (chunk as Buffer) : Buffer.concat([pending, chunk as Buffer])
      for (;;) {
        const object = wanted[next]
        const parsed = object === undefined ? undefined : takeObject(pending)
        if (object === undefined || parsed === undefined) break
        onObject(object, parsed.bytes)
        pending = parsed.rest
        next += 1
      }
    }
    if (next !== wanted.length) throw new Error(`git cat-file gave ${next} of ${wanted.length} objects`)
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
  }
}

/**
 * Reads the sizes of objects in bytes through one `git cat-file --batch-check`, in their order. `onSize` may throw to end it.
 * @throws Error when an object is missing
 */
export async function readSizes<T extends { objectId: string }>(
  repository: string,
  wanted: readonly T[],
  env: Record<string, string>,
  onSize: (wanted: T, bytes: number) => void,
): Promise<void> {
  if (wanted.length === 0) return
  const child = startGit(repository, ['cat-file', '--batch-check=%(objectsize)', '--buffer'], env)
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
  try {
    child.on('error', () => undefined) // the stream below ends early, which is the failure
    child.stdin?.on('error', () => undefined)
    child.stderr?.resume()
    child.stdin?.end(wanted.map((object) => `${object.objectId}\n`).join(''))
    let pending = ''
    let next = 0
    for await (const chunk of child.stdout ?? []) {
      const lines = (pending + String(chunk)).split('\n')
      pending = lines.pop() ?? ''
      for (const line of lines) {
        const object = wanted[next]
        if (object === undefined || !/^\d+$/.test(line)) throw new Error(`git cat-file: ${line.slice(0, 80)}`)
        onSize(object, Number(line))
        next += 1
      }
    }
    if (next !== wanted.length) throw new Error(`git cat-file gave ${next} of ${wanted.length} sizes`)
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
  }
}

function takeObject(pending: Buffer): { bytes: Buffer; rest: Buffer } | undefined {
  const newline = pending.indexOf(0x0a)
  if (newline < 0) return undefined
  const header = pending.toString('latin1', 0, newline)
  const size = / (\d+)$/.exec(header)?.[1]
  if (size === undefined || header.endsWith(' missing')) throw new Error(`git cat-file: ${header}`)
  if (Number(size) > MAX_OBJECT_BYTES) throw new Error(`git cat-file: an object of ${size} bytes`)
  const end = newline + 1 + Number(size)
  if (pending.length < end + 1) return undefined
  return { bytes: pending.subarray(newline + 1, end), rest: pending.subarray(end + 1) }
}
