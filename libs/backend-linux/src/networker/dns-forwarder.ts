import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { once } from 'node:events'
import { messageOf, type Logger } from '@croft/kit'

const QUESTION_TIMEOUT_MS = 10_000
const MAX_OPEN_QUESTIONS = 512
const MAX_CONNECTIONS = 64

export interface DnsForwarderOptions {
  /** Where containers' questions arrive: the gateway. */
  address: string
  /** The loopback resolver they go to. */
  resolver: string
  resolverPort?: number
  logger: Logger
}

/**
 * Relays DNS, over UDP and TCP on one port, to a resolver that listens on loopback only. It reads nothing of what passes;
 * each UDP question gets a socket of its own, so an answer finds its asker by the socket it arrives on.
 */
export class DnsForwarder {
  #open = 0

  private constructor(
    private readonly udp: UdpSocket,
    private readonly tcp: Server,
    private readonly options: DnsForwarderOptions,
    readonly port: number,
  ) {}

  static async listen(options: DnsForwarderOptions): Promise<DnsForwarder> {
    const tcp = createServer()
    tcp.listen(0, options.address)
    await once(tcp, 'listening')
    const { port } = tcp.address() as AddressInfo
    const udp = createSocket('udp4')
    udp.bind(port, options.address)
    await once(udp, 'listening')
    const forwarder = new DnsForwarder(udp, tcp, options, port)
    forwarder.#serve()
    return forwarder
  }

  async close(): Promise<void> {
    await Promise.all([
      new Promise<void>((resolve) => this.udp.close(() => resolve())),
      new Promise<void>((resolve) => this.tcp.close(() => resolve())),
    ])
  }

  #serve(): void {
    const { resolver, logger } = this.options
    const resolverPort = this.options.resolverPort ?? 53
    this.tcp.maxConnections = MAX_CONNECTIONS
    this.udp.on('error', (error) => logger.warn('dns-forwarder-failed', { why: messageOf(error) }))
    this.tcp.on('error', (error) => logger.warn('dns-forwarder-failed', { why: messageOf(error) }))
    this.tcp.on('connection', (client) => {
      const upstream = connect(resolverPort, resolver)
      for (const socket of [client, upstream]) {
        socket.setTimeout(QUESTION_TIMEOUT_MS, () => socket.destroy())
        socket.on('error', () => undefined)
        socket.on('close', () => {
          client.destroy()
          upstream.destroy()
        })
      }
      client.pipe(upstream).pipe(client)
    })
    this.udp.on('message', (question, asker) => {
      if (this.#open >= MAX_OPEN_QUESTIONS) return
      this.#open += 1
      const upstream = createSocket('udp4')
      let isDone = false
      const done = (): void => {
        if (isDone) return
        isDone = true
        clearTimeout(timer)
        this.#open -= 1
        upstream.close()
      }
      const timer = setTimeout(done, QUESTION_TIMEOUT_MS)
      upstream.on('error', done)
      upstream.connect(resolverPort, resolver, (error?: Error) => {
        if (error !== undefined) return done()
        upstream.send(question)
      })
      upstream.on('message', (answer) => {
        this.udp.send(answer, asker.port, asker.address, () => undefined)
        done()
      })
    })
  }
}
