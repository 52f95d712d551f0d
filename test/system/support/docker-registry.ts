import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import {
  createServer as createHttpServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '@croft/kit'
import type { Identity } from '@croft/kit/testing/certificates'
import { peer } from './foreign-peers.js'

/** How the registry behaves towards whoever asks it. */
export type Temper = 'good' | 'slow' | 'wrong'

/** Debian's docker-registry behind a door that wants a name and a password, and that can be closed, be slow, or lie. */
export class DockerRegistry {
  temper: Temper = 'good'
  /** What was asked, as `METHOD /path`. */
  readonly asked: string[] = []
  #door: Server | undefined

  private constructor(
    readonly folder: string,
    private readonly innerPort: number,
    readonly port: number,
    private readonly child: ChildProcess,
    /** `NAME:PASSWORD`; null: nobody is asked. */
    readonly credentials: string | null,
    /** What it shows over TLS; null: it speaks plain HTTP. */
    private readonly identity: Identity | null,
  ) {}

  static async start(credentials: string | null = null, identity: Identity | null = null): Promise<DockerRegistry> {
    const folder = mkdtempSync(join(tmpdir(), 'croft-docker-registry-'))
    const { file, env } = peer('docker-registry', folder)
    const [inner, outer] = [await freePort(), await freePort()]
    mkdirSync(join(folder, 'store'))
    writeFileSync(
      join(folder, 'config.yml'),
      `version: 0.1\nstorage:\n  delete: {enabled: true}\n  filesystem: {rootdirectory: ${folder}/store}\nhttp: {addr: "127.0.0.1:${inner}", relativeurls: true}\n`,
    )
    const child = spawn(file, ['serve', join(folder, 'config.yml')], { env, stdio: 'ignore' })
    const registry = new DockerRegistry(folder, inner, outer, child, credentials, identity)
    await registry.open()
    await waitFor(async () => (await fetch(`http://127.0.0.1:${inner}/v2/`).catch(() => null))?.ok, {
      what: 'docker-registry',
      timeoutMs: 15_000,
    })
    return registry
  }

  get host(): string {
    return `127.0.0.1:${this.port}`
  }

  get origin(): string {
    return `${this.identity === null ? 'http' : 'https'}://${this.host}`
  }

  /** Nobody answers at its port any more. */
  async shut(): Promise<void> {
    const door = this.#door
    this.#door = undefined
    await new Promise<void>((done) =>
      door === undefined ? done() : (door.close(() => done()), door.closeAllConnections()),
    )
  }

  async open(): Promise<void> {
    this.temper = 'good'
    const pass = (asked: IncomingMessage, answer: ServerResponse): void => this.#pass(asked, answer)
    const door = this.identity === null ? createHttpServer(pass) : createHttpsServer(this.identity, pass)
    this.#door = door
    await new Promise<void>((done) => door.listen(this.port, '127.0.0.1', done))
  }

  async close(): Promise<void> {
    await this.shut()
    this.child.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }

  #pass(asked: IncomingMessage, answer: ServerResponse): void {
    this.asked.push(`${asked.method} ${asked.url}`)
    if (this.temper === 'slow') return
    if (this.credentials !== null && asked.headers.authorization !== basic(this.credentials)) {
      asked.resume()
      answer.writeHead(401, { 'www-authenticate': 'Basic realm="door"' }).end()
      return
    }
    if (this.temper === 'wrong' && asked.method === 'GET' && /\/(blobs|manifests)\/sha256:/.test(asked.url ?? '')) {
      answer
        .writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' })
        .end('{"not":"what was asked for"}')
      return
    }
    const { method, url, headers } = asked
    const inner = request({ host: '127.0.0.1', port: this.innerPort, method, path: url, headers }, (told) => {
      answer.writeHead(told.statusCode ?? 502, told.headers)
      told.pipe(answer)
    })
    inner.on('error', () => answer.destroy())
    asked.pipe(inner)
  }
}

const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}
