import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Backend } from '@croft/garden-api'
import { createGardenClient } from '@croft/garden-api/http'
import { start, waitFor } from '@croft/kit'
import { makeRigFolder } from './rig-folders.js'

const CLI = resolve(import.meta.dirname, '../../../apps/cli/dist/croft.mjs')

/** `croft garden` as a person starts it: a process of its own, that listens on a unix socket of the test's. */
export class GardenProgram {
  readonly address: string
  #child: ChildProcess | undefined
  #output = ''

  private constructor(readonly folder: string) {
    this.address = `unix:${join(folder, 'garden.sock')}`
  }
  static async make(): Promise<GardenProgram> {
    return new GardenProgram(await makeRigFolder('garden'))
  }

  get depot(): string {
    return join(this.folder, 'depot')
  }
  /** All it said so far, on both streams. */
  get output(): string {
    return this.#output
  }
  client(): Backend {
    return createGardenClient({ address: this.address })
  }

  /** Starts it and waits until it listens, or has ended; resolves with its exit code then. */
  async start(...args: string[]): Promise<number | null> {
    this.#output = ''
    const child = start(
      process.execPath,
      [CLI, 'garden', '--listen', this.address, '--depot', this.depot, '--json', ...args],
      { env: { PATH: process.env['PATH'] ?? '', CROFT_CACHE: process.env['CROFT_CACHE'] ?? '/var/cache/croft' } },
    )
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (part: Buffer) => {
        this.#output += part.toString()
      })
    }
    await waitFor(() => this.#output.includes('"listening"') || child.exitCode !== null, {
      what: 'croft garden to listen or to end',
      timeoutMs: 30_000,
    })
    return child.exitCode
  }

  /** Sends it the signal; resolves with its exit code. */
  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = once(child, 'exit')
    child.kill(signal)
    const [code] = (await ended) as [number | null]
    return code
  }

  async close(): Promise<void> {
    await this.end('SIGTERM')
    await rm(this.folder, { recursive: true, force: true })
  }
}
