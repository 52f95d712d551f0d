import { Readable, Writable } from 'node:stream'
import { extract, pack } from 'tar-stream'
import { waitFor } from '@croft/kit'
import type { Container, ProcessIo } from '../backend.js'
import type { ProcessExit, ProcessSpec } from '../types.js'

/** A writable that keeps what it gets. */
export class Sink extends Writable {
  readonly #parts: Buffer[] = []
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#parts.push(chunk)
    done()
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }
  get text(): string {
    return this.bytes.toString()
  }
}

/** Runs a process to its end with both streams kept. */
export async function runToEnd(
  container: Container,
  spec: ProcessSpec,
  stdin?: Readable,
): Promise<{ exit: ProcessExit; stdout: Buffer; stderr: string }> {
  const stdout = new Sink()
  const stderr = new Sink()
  const io: ProcessIo = { stdout, stderr, ...(stdin !== undefined && { stdin }) }
  const process = await container.run(spec, io)
  const exit = await process.wait()
  return { exit, stdout: stdout.bytes, stderr: stderr.text }
}

/** What a process that ran to its end printed, standard output before standard error. */
export async function outputOf(container: Container, spec: ProcessSpec): Promise<string> {
  const { stdout, stderr } = await runToEnd(container, spec)
  return stdout.toString() + stderr
}

/** Waits until a process has printed a line. */
export async function waitForLog(container: Container, processId: string, line: string): Promise<void> {
  await waitFor(async () => (await container.readLog(processId, 'stdout')).data.toString().includes(line), {
    what: `${processId} to print ${line}`,
    timeoutMs: 10_000,
  })
}

/** A tar with the given files. */
export function tarOf(files: Record<string, string | Buffer>): Readable {
  const out = pack()
  for (const [name, data] of Object.entries(files)) out.entry({ name, mode: 0o644 }, Buffer.from(data))
  out.finalize()
  return Readable.from(out)
}

/** The files in a tar. */
export async function filesOf(tar: Readable): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  const reader = extract()
  tar.on('error', (error) => reader.destroy(error))
  tar.pipe(reader)
  for await (const entry of reader) {
    const parts: Buffer[] = []
    for await (const part of entry) parts.push(part as Buffer)
    if (entry.header.type === 'file') files.set(entry.header.name.replace(/^\.\//, ''), Buffer.concat(parts))
  }
  return files
}

/** The extended attributes in a tar, of all its entries together. */
export async function xattrsOf(tar: Readable): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const reader = extract()
  tar.on('error', (error) => reader.destroy(error))
  tar.pipe(reader)
  for await (const entry of reader) {
    for (const [key, value] of Object.entries((entry.header.pax ?? {}) as Record<string, string>))
      if (key.startsWith('SCHILY.xattr.')) found.set(key.slice('SCHILY.xattr.'.length), value)
    entry.resume()
  }
  return found
}
