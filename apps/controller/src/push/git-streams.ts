import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { CroftError } from '@croft/kit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { GitProcess } from './git.js'
import type { ReceiveHead, ReceiveHeadReader } from './receive-head.js'
import { MAX_PACK_BYTES } from './repository.js'

/** Reading the list of refs, ms. */
const HEAD_MS = 60_000

/** The body of a request, unzipped when git zipped it. */
export function bodyOf(request: FastifyRequest): Readable {
  const encoding = request.headers['content-encoding']
  if (encoding !== 'gzip' && encoding !== 'x-gzip') return request.raw
  const plain = createGunzip()
  request.raw.on('error', (error) => plain.destroy(error))
  request.raw.on('aborted', () => plain.destroy(new Error('the client left')))
  return request.raw.pipe(plain)
}

/** Sends a child's output; the child ends with the client, or when its time is over. */
export async function answer(child: GitProcess, reply: FastifyReply, timeoutMs: number): Promise<void> {
  const stop = (): void => void child.kill('SIGTERM')
  const timer = setTimeout(stop, timeoutMs)
  reply.raw.on('close', stop)
  child.stderr?.resume()
  await new Promise<void>((resolve) => {
    child.on('error', () => resolve())
    child.on('close', () => resolve())
    child.stdout?.pipe(reply.raw)
  })
  clearTimeout(timer)
  reply.raw.end()
}

/** @throws CroftError when it is no push */
export async function readHead(body: Readable, reader: ReceiveHeadReader, gone: AbortSignal): Promise<ReceiveHead> {
  const late = setTimeout(() => body.destroy(new Error('the list of refs did not come')), HEAD_MS)
  try {
    for (;;) {
      const chunk = (await nextChunk(body, gone)) ?? undefined
      if (chunk === undefined) throw new RangeError('the request ended within the list of refs')
      const head = reader.write(chunk)
      if (head !== undefined) return head
    }
  } catch (cause) {
    throw new CroftError({ code: 'bad-push', status: 400, title: 'this is not a push', cause })
  } finally {
    clearTimeout(late)
  }
}

/** One chunk without ending the stream, as `for await` would; null at its end. */
async function nextChunk(body: Readable, gone: AbortSignal): Promise<Buffer | null> {
  for (;;) {
    const chunk = body.read() as Buffer | null
    if (chunk !== null) return chunk
    if (body.readableEnded || body.destroyed) return null
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        body.off('readable', done).off('end', done).off('error', fail).off('close', done)
        gone.removeEventListener('abort', onGone)
        resolve()
      }
      const fail = (error: Error): void => {
        done()
        reject(error)
      }
      const onGone = (): void => fail(new Error('the client left'))
      body.on('readable', done).on('end', done).on('error', fail).on('close', done)
      gone.addEventListener('abort', onGone, { once: true })
    })
  }
}

/** All bytes of the request again: those read with the head, then the rest. `onEnd` hears when all of it is there. */
export async function* chunksOf(reader: ReceiveHeadReader, body: Readable, onEnd: () => void): AsyncGenerator<Buffer> {
  yield reader.bytes
  if (!body.readableEnded) for await (const chunk of body) yield chunk as Buffer
  onEnd()
}

/** Reads the rest of a push nobody wants, so that the client gets to its answer; more than a pack may be ends it. */
export async function drainBody(body: Readable, gone: AbortSignal): Promise<void> {
  let bytes = 0
  for (;;) {
    const chunk = await nextChunk(body, gone)
    if (chunk === null) return
    bytes += chunk.length
    if (bytes > MAX_PACK_BYTES) throw new RangeError('a refused push went on for more than 500 MB')
  }
}
