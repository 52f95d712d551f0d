import { MalformedPacket, PacketReader } from './pkt-line.js'

/** One ref somebody wants to move. */
export interface RefCommand {
  /** 40 (or 64) hex digits; zeros for a ref that does not exist. */
  oldValue: string
  /** Zeros delete the ref. */
  newValue: string
  ref: string
}

/** What a push says before its pack: what it wants, and with which options. */
export interface ReceiveHead {
  commands: RefCommand[]
  capabilities: ReadonlySet<string>
  pushOptions: string[]
  /** The client's clone is shallow. */
  isShallow: boolean
}

const MAX_HEAD_BYTES = 1024 * 1024
const MAX_COMMANDS = 2_000
const COMMAND = /^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ([^\s\0]+)$/

/** The value of a ref that does not exist. */
export function isZero(value: string): boolean {
  return /^0+$/.test(value)
}

/**
 * Reads the head of a `git-receive-pack` request. It keeps every byte it was given, so that all of them go on to git
 * unchanged. Pure.
 */
export class ReceiveHeadReader {
  readonly #packets = new PacketReader()
  readonly #seen: Buffer[] = []
  #bytes = 0
  #state: 'commands' | 'options' | 'done' = 'commands'
  readonly #head: { commands: RefCommand[]; capabilities: Set<string>; pushOptions: string[]; isShallow: boolean } = {
    commands: [],
    capabilities: new Set(),
    pushOptions: [],
    isShallow: false,
  }

  /** Every byte that was read, for git. */
  get bytes(): Buffer {
    return Buffer.concat(this.#seen)
  }

  /** The bytes after the head that were read with it: the start of the pack. */
  get packStart(): Buffer {
    return this.#packets.rest
  }

  /**
   * Adds bytes; gives the head once it is whole. A head without commands is a probe.
   * @throws MalformedPacket or RangeError when it is not a push.
   */
  write(chunk: Buffer): ReceiveHead | undefined {
    this.#seen.push(chunk)
    this.#bytes += chunk.length
    this.#packets.write(chunk)
    while (this.#state !== 'done') {
      const packet = this.#packets.next()
      if (packet === undefined) {
        if (this.#bytes > MAX_HEAD_BYTES) throw new RangeError('the list of refs is longer than 1 MiB')
        return undefined
      }
      if (packet.kind === 'flush') this.#flush()
      else if (this.#state === 'commands') this.#command(packet.payload)
      else this.#head.pushOptions.push(packet.payload.toString('utf8').replace(/\n$/, ''))
    }
    return this.#head
  }

  #flush(): void {
    const takesOptions = this.#state === 'commands' && this.#head.capabilities.has('push-options')
    this.#state = takesOptions ? 'options' : 'done'
  }

  #command(payload: Buffer): void {
    const [line = '', capabilities] = payload.toString('utf8').replace(/\n$/, '').split('\0', 2)
    if (line.startsWith('shallow ')) {
      this.#head.isShallow = true
      return
    }
    if (capabilities !== undefined && this.#head.commands.length === 0) {
      for (const capability of capabilities.split(' ')) if (capability !== '') this.#head.capabilities.add(capability)
    }
    const match = COMMAND.exec(line)
    if (match === null) throw new MalformedPacket(line.slice(0, 80))
    if (this.#head.commands.length >= MAX_COMMANDS) throw new RangeError(`more than ${MAX_COMMANDS} refs in one push`)
    const [, oldValue = '', newValue = '', ref = ''] = match
    this.#head.commands.push({ oldValue, newValue, ref })
  }
}
