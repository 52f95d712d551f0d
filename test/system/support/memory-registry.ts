import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { bareEnv, run, type Digest } from '@croft/kit'

/** The distribution endpoints an executor uses, in memory. */
export class MemoryRegistry {
  readonly blobs = new Map<string, Buffer>()
  readonly manifests = new Map<string, Buffer>()
  /** Paths of uploads that were finished, for counting. */
  readonly uploads: string[] = []
  /** Whether it takes nothing more. */
  isFull = false
  readonly #server: Server

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request).then(
        ({ status, headers, body }) => response.writeHead(status, headers).end(body),
        () => response.writeHead(500).end(),
      )
    })
  }
  static async listen(socketPath: string): Promise<MemoryRegistry> {
    const registry = new MemoryRegistry()
    registry.#server.listen(socketPath)
    await once(registry.#server, 'listening')
    return registry
  }
  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** Like a real registry it takes no manifest of blobs that it lacks. */
  #hasAllOf(manifest: Buffer): boolean {
    const { config, layers } = JSON.parse(manifest.toString()) as {
      config: { digest: string }
      layers: { digest: string }[]
    }
    return [config, ...layers].every(({ digest }) => this.blobs.has(digest))
  }

  async #answer(
    request: IncomingMessage,
  ): Promise<{ status: number; headers?: Record<string, string>; body?: Buffer }> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const url = new URL(request.url ?? '', 'http://registry')
    const [, , , kind, reference, upload] = url.pathname.split('/')
    if (this.isFull && request.method !== 'GET' && request.method !== 'HEAD') return { status: 507 }
    if (kind === 'blobs' && reference === 'uploads') {
      if (request.method === 'POST') return { status: 202, headers: { location: `${url.pathname}1` } }
      const digest = url.searchParams.get('digest') ?? ''
      if (upload === undefined || digestOf(body) !== digest) return { status: 400 }
      this.blobs.set(digest, body)
      this.uploads.push(digest)
      return { status: 201 }
    }
    const store = kind === 'blobs' ? this.blobs : this.manifests
    if (request.method === 'PUT') {
      if (digestOf(body) !== reference || !this.#hasAllOf(body)) return { status: 400 }
      store.set(reference, body)
      return { status: 201 }
    }
    const found = store.get(decodeURIComponent(reference ?? ''))
    if (found === undefined) return { status: 404 }
    const headers = { 'content-length': String(found.length) }
    return request.method === 'HEAD' ? { status: 200, headers } : { status: 200, headers, body: found }
  }
}

const digestOf = (bytes: Buffer): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest

/** The names in a layer's blob, sorted as they lie in it. */
export async function namesIn(blob: Buffer): Promise<string[]> {
  const { stdout } = await run('tar', ['--list', '--zstd', '-f', '-', '--absolute-names'], {
    input: blob,
    timeoutMs: 30_000,
    env: bareEnv(),
  })
  return stdout.toString().trim().split('\n')
}
