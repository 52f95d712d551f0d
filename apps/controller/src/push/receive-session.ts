import type { Readable } from 'node:stream'
import { CroftError, messageOf, type Logger } from '@croft/kit'
import { startService, type GitProcess } from './git.js'
import { HookChannel, type HookQuestion } from './hook-channel.js'
import { FLUSH, PacketReader } from './pkt-line.js'
import type { PushOutput } from './push-output.js'
import type { ReceiveHead } from './receive-head.js'
import type { Refusal } from './refusal.js'
import { hasSideBand, reasonedReport, refusalReport, reportLines } from './report.js'
import { MAX_PACK_BYTES } from './repository.js'
import { named } from './text.js'

/** Nothing came from the client for so long, ms. */
const IDLE_MS = 60_000
/** Receiving all of it may take so long, ms. */
const TOTAL_MS = 15 * 60 * 1_000
const MAX_STDERR_CHARS = 4_000

export interface ReceiveOptions {
  repository: string
  /** Folder of the fifos, below the run directory. */
  channelFolder: string
  protocol: string | undefined
  head: ReceiveHead
  /** The bytes of the head, then of the pack. */
  body: AsyncIterable<Buffer>
  output: PushOutput
  /** Aborted when the client is gone; matters only while its bytes are still coming. */
  clientGone: AbortSignal
  /** Answers the hooks. */
  onHook: (question: HookQuestion) => Promise<boolean>
  /** Short reasons by ref, shown in git's own summary. */
  whys: ReadonlyMap<string, string>
  /** Refs that git moved and that are refused all the same. */
  unsettled: ReadonlyMap<string, string>
  logger: Logger
}

/** The bytes of a push stopped coming. */
export class ReceiveTimedOut extends CroftError {
  constructor(what: string) {
    super({ code: 'receive-timeout', status: 408, title: what })
  }
}

/**
 * Runs one `git receive-pack`: feeds it, answers its hooks and always drains it, so that a client that left cannot kill it
 * once everything was received. Its text reaches the client filtered, its report with our reasons.
 */
export async function receivePack(options: ReceiveOptions): Promise<void> {
  const opening = HookChannel.open(options.channelFolder, options.onHook)
  const child = startService('receive-pack', options.repository, {
    isAdvertisement: false,
    protocol: options.protocol,
    env: { CROFT_PUSH_DIR: options.channelFolder },
  })
  const stderr = keepTail(child)
  const ended = endOf(child)
  ended.catch(() => undefined) // awaited below, unless there are no fifos
  // git asks nothing before it was fed
  const channel = await opening.catch((error: unknown) => {
    child.kill('SIGTERM')
    throw error
  })
  try {
    const [received, drained] = await Promise.all([
      feed(child, options).catch((error: unknown) => {
        child.kill('SIGTERM') // git removes its quarantine
        return messageOf(error)
      }),
      drain(child, options),
      ended,
    ])
    finish(options, drained, received, stderr())
  } finally {
    await channel.close()
  }
}

function keepTail(child: GitProcess): () => string {
  let text = ''
  child.stderr?.on('data', (chunk: Buffer) => (text = (text + chunk.toString('utf8')).slice(-MAX_STDERR_CHARS)))
  return () => text
}

function endOf(child: GitProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
}

/** Hands the client's bytes to git; goes on reading when git has had enough, so that the client gets to its answer. */
async function feed(child: GitProcess, options: ReceiveOptions): Promise<undefined> {
  const { stdin } = child
  if (stdin === null) throw new Error('git has no standard input')
  let isOpen = true
  stdin.on('error', () => (isOpen = false))
  stdin.on('close', () => (isOpen = false))
  for await (const chunk of timed(options.body, options.clientGone)) {
    if (!isOpen || stdin.write(chunk)) continue
    await new Promise<void>((resolve) => {
      const go = (): void => {
        stdin.off('drain', go).off('close', go).off('error', go)
        resolve()
      }
      stdin.on('drain', go).on('close', go).on('error', go)
    })
  }
  stdin.end()
  return undefined
}

/** The chunks of a stream under both deadlines. */
export async function* timed(body: AsyncIterable<Buffer>, gone: AbortSignal): AsyncGenerator<Buffer> {
  const iterator = body[Symbol.asyncIterator]()
  const end = performance.now() + TOTAL_MS
  for (;;) {
    const left = Math.min(IDLE_MS, end - performance.now())
    const next = await within(iterator.next(), left, gone)
    if (next.done === true) return
    yield next.value
  }
}

function within<T>(promise: Promise<T>, ms: number, gone: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onGone = (): void => reject(new ReceiveTimedOut('the client left'))
    const timer = setTimeout(() => reject(new ReceiveTimedOut('what was sent stopped coming')), Math.max(0, ms))
    if (gone.aborted) onGone()
    gone.addEventListener('abort', onGone, { once: true })
    promise.then(resolve, reject).finally(() => {
      clearTimeout(timer)
      gone.removeEventListener('abort', onGone)
    })
  })
}

interface Drained {
  /** What git said on band 1 (or all of it, without side bands). */
  report: Buffer
  /** Its text. */
  text: string
}

async function drain(child: GitProcess, options: ReceiveOptions): Promise<Drained> {
  const report: Buffer[] = []
  let text = ''
  const stdout = child.stdout as Readable
  if (!hasSideBand(options.head)) {
    for await (const chunk of stdout) report.push(chunk as Buffer)
    return { report: Buffer.concat(report), text }
  }
  const reader = new PacketReader()
  for await (const chunk of stdout) {
    reader.write(chunk as Buffer)
    for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
      if (packet.kind === 'flush') continue
      const band = packet.payload[0]
      const bytes = packet.payload.subarray(1)
      if (band === 1) report.push(bytes)
      else {
        text = (text + bytes.toString('utf8')).slice(-MAX_STDERR_CHARS)
        if (!isNoise(bytes)) options.output.text(bytes)
      }
    }
  }
  return { report: Buffer.concat(report), text }
}

/** What git says of failures that we explain ourselves. */
function isNoise(bytes: Buffer): boolean {
  return (
    bytes.length === 0 || /pack exceeds maximum allowed size|hook declined to update/.test(bytes.toString('latin1'))
  )
}

/** Says what became of it: a cause when git refused by itself, then the report. */
function finish(options: ReceiveOptions, drained: Drained, interrupted: string | undefined, stderr: string): void {
  const { head, output, logger } = options
  const why = ownRefusal(drained, interrupted, stderr)
  if (why !== undefined) {
    logger.info('push-not-received', { why: why.reason, cause: why.cause, stderr: stderr.slice(-500) })
    output.failure(why)
  }
  const report =
    drained.report.length > 0
      ? reasonedReport(head, drained.report, options.whys, options.unsettled)
      : refusalReport(head, options.whys, why === undefined ? 'ok' : named(why.reason, 60))
  output.send(hasSideBand(head) ? Buffer.concat([report, FLUSH]) : report)
}

/** Why git itself refused, or undefined when it did not (or our hooks did). */
function ownRefusal(drained: Drained, interrupted: string | undefined, stderr: string): Refusal | undefined {
  const said = `${drained.text}\n${stderr}`
  if (/pack exceeds maximum allowed size/.test(said)) {
    return {
      reason: 'too-large',
      cause: `the push is larger than the limit of ${MAX_PACK_BYTES / 1024 ** 2} MB`,
      suggestion: 'keep large files out of git (git rm them, and rewrite the commits that added them)',
    }
  }
  if (interrupted !== undefined) {
    return { reason: 'receive-timeout', cause: named(interrupted), suggestion: 'push again' }
  }
  const lines = reportLines(drained.report)
  if (lines.some((line) => /^ng \S+ shallow update not allowed/.test(line))) {
    return {
      reason: 'shallow',
      cause: 'this clone is shallow: commits it builds on are missing',
      suggestion: 'git fetch --unshallow, then push again',
    }
  }
  const unpack = lines.find((line) => line.startsWith('unpack '))
  if (unpack === 'unpack ok') return undefined
  const complaints = said.split('\n').filter((line) => /^(error|fatal): /.test(line))
  // of a malformed object git says first which one and what is wrong with it, and last only that something was
  const complaint = complaints.find((line) => /^error: object [0-9a-f]+: /.test(line)) ?? complaints.at(-1)
  return {
    reason: 'git-refused',
    cause: `git did not take the objects: ${named(complaint?.replace(/^(error|fatal): /, '') ?? unpack ?? 'it ended early', 160)}`,
    suggestion: 'git fsck shows what is wrong in your clone; correct it and push again',
  }
}
