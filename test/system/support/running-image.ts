import { Writable } from 'node:stream'
import type { Container } from '@croft/garden-api'
import { waitFor } from '@croft/kit'

/** A program of an image that listens on port 8080 of its container. */
export interface Serving {
  /** The body of a GET, once it listens. */
  get(path: string): Promise<string>
  /** Runs a shell line beside it, as the app's user. */
  sh(line: string): Promise<string>
  end(): Promise<void>
}

/** The body of the page at `/` of an image's web process. */
export async function firstPage(
  rig: { serve(image: string, program: string, env: string[]): Promise<Serving> },
  image: string,
): Promise<string> {
  const serving = await rig.serve(image, '/cnb/process/web', ['PORT=8080'])
  try {
    return await serving.get('/')
  } finally {
    await serving.end()
  }
}

/** Runs a command in a container to its end, as the app's user. */
export async function runToEnd(container: Container, argv: string[]): Promise<{ exitCode: number; output: string }> {
  const chunks: Buffer[] = []
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk)
      done()
    },
  })
  const [path = '', ...args] = argv
  const process = await container.run({ path, args, user: 'croft', dir: '/workspace' }, { stdout: sink, stderr: sink })
  const { exitCode } = await process.wait()
  return { exitCode, output: Buffer.concat(chunks).toString() }
}

/** Starts a program in a container, as the app's user. @param end destroys the container */
export async function serveIn(container: Container, program: string, end: () => Promise<void>): Promise<Serving> {
  const said = new Said()
  await container.run({ path: program, user: 'croft', dir: '/workspace' }, { stdout: said, stderr: said })
  const { containerIp } = await container.info()
  return {
    get: async (path) =>
      await waitFor(async () => (await fetch(`http://${containerIp}:8080${path}`)).text(), {
        what: `${program} to answer`,
        timeoutMs: 10_000,
      }).catch((error: unknown) => {
        throw new Error(`it does not answer; it said:\n${said.text}`, { cause: error })
      }),
    sh: async (line) => (await runToEnd(container, ['/bin/sh', '-c', line])).output,
    end,
  }
}

/** Keeps what a program says. */
class Said extends Writable {
  #text = ''
  get text(): string {
    return this.#text
  }
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#text += chunk.toString()
    done()
  }
}
