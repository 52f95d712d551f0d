import { readFile, writeFile } from 'node:fs/promises'
import { failpoint, messageOf, run, type Logger } from '@croft/kit'
import { ServiceUnavailableError, type Limits, type MappedPort, type NetIn } from '@croft/garden-api'
import { all } from '../containerizer/deadline.js'
import type { HomeNames } from '../home/naming.js'
import { linkName } from '../home/naming.js'
import { DEFAULT_PORT_POOL, type EgressRule } from '../options.js'
import { gatewayOf, parseNetwork, type Network } from './address.js'
import { canShape, shape } from './bandwidth.js'
import { forgetLinkCounters } from './counters.js'
import { DnsForwarder } from './dns-forwarder.js'
import { HostPorts } from './host-ports.js'
import { dropGateway, gatewayLabel, reserveRange } from './home-network.js'
import { hostLinkLines } from './link-plan.js'
import { deleteLink, endLink, ipBatch } from './links.js'
import {
  addContainerRules,
  changeContainerRules,
  removeContainerRules,
  tableText,
  type ContainerNetwork,
  type HomeNetwork,
} from './plan.js'
import { leadText, releaseText } from './port-plan.js'
import { IP, ResidentTool, ToolGoneError } from './resident-tool.js'
import { TableWriter } from './table-writer.js'

const COMMAND_TIMEOUT_MS = 10_000

export interface NetworkerOptions {
  names: HomeNames
  resolvers: readonly string[]
  egress: readonly EgressRule[]
  portPool?: { first: number; last: number }
  logger: Logger
}

/** Applies plans to the host: links, routes and the home's nft table. */
export class Networker {
  readonly #options: NetworkerOptions
  #home: HomeNetwork | undefined
  #network: Network | undefined
  #forwarder: DnsForwarder | undefined
  #canShape: Promise<boolean> | undefined
  readonly #table: TableWriter
  readonly #ip: ResidentTool
  readonly #ports: HostPorts
  readonly #containers = new Map<number, ContainerNetwork>()

  constructor(options: NetworkerOptions) {
    this.#options = options
    this.#table = new TableWriter(options.logger)
    this.#ip = new ResidentTool(IP, { onRemark: (text) => options.logger.warn('ip-says', { text }) })
    this.#ports = new HostPorts({
      homeIndex: options.names.index,
      pool: options.portPool ?? DEFAULT_PORT_POOL,
      apply: async (text) => await this.#table.apply(text),
    })
  }

  get network(): Network | undefined {
    return this.#network
  }
  /** @throws ServiceUnavailableError when no range is known yet */
  get gateway(): string {
    return this.#ready().gateway
  }

  /**
   * Takes the home's range, and puts the gateway's DNS in place; `apply` comes next.
   * @throws AlreadyInUseError when another home of this host has the range
   */
  async prepare(text: string): Promise<void> {
    const network = parseNetwork(text)
    if (network === null || network.prefix > 29) throw new RangeError(`not a usable IPv4 range: ${text}`)
    const gateway = gatewayOf(network)
    const closed = this.#forwarder?.close() ?? Promise.resolve()
    this.#forwarder = undefined
    await all([reserveRange(text, this.#options.names), closed, dropGateway(this.#options.names)])
    await this.#enableForwarding()
    this.#network = network
    this.#home = {
      table: this.#options.names.nftTable,
      linkGroup: this.#options.names.linkGroup,
      gateway,
      resolver: await this.#resolver(gateway),
      egress: this.#options.egress,
    }
  }
  /** Puts the table in place for the containers known and those adopted. */
  async apply(adopted: readonly ContainerNetwork[]): Promise<void> {
    await this.#adopt(adopted)
    await this.#table.apply(tableText(this.#ready(), [...this.#containers.values()]))
  }

  /** @throws AlreadyInUseError for an asked port somebody has */
  async checkPorts(wanted: readonly NetIn[]): Promise<void> {
    await this.#ports.check(wanted)
  }
  /** Takes ports of the host for a container; they lead nowhere yet. @throws as HostPorts.reserve */
  async reservePorts(slot: number, wanted: readonly NetIn[]): Promise<MappedPort[]> {
    return await this.#ports.reserve(slot, wanted)
  }
  async releasePorts(slot: number, ports: readonly MappedPort[]): Promise<void> {
    await this.#ports.release(slot, ports)
  }

  /** Connects a container: its pair, its addresses, its rules, its ports. `setUp` does its part inside. */
  async connect(
    container: ContainerNetwork,
    initPid: number,
    bandwidth: Limits['bandwidth'],
    setUp: (address: string, gateway: string) => Promise<void>,
  ): Promise<void> {
    const home = this.#ready()
    const { slot, address } = container
    this.#containers.set(slot, container)
    const link = async (): Promise<void> => {
      await this.#makePair(home, container, initPid)
      failpoint('container-linked')
      await setUp(address, home.gateway)
    }
    await all([link(), this.#table.apply(addContainerRules(home, container))])
    if ((bandwidth?.rateBytesPerSecond ?? 0) > 0) await this.setBandwidth(slot, initPid, bandwidth)
  }

  /** Lets reserved ports lead into a container that is connected. */
  async lead(slot: number, ports: readonly MappedPort[]): Promise<void> {
    const container = this.#known(slot)
    const changed = { ...container, ports: [...container.ports, ...ports] }
    await this.#change(changed, leadText(this.#ready().table, container.address, ports), (now) => ({
      ...now,
      ports: now.ports.filter((port) => !ports.includes(port)),
    }))
  }

  /** Adds rules to those in force. */
  async allow(slot: number, rules: ContainerNetwork['rules']): Promise<void> {
    const container = this.#known(slot)
    const changed = { ...container, rules: [...container.rules, ...rules] }
    await this.#change(changed, changeContainerRules(this.#ready(), changed), (now) => ({
      ...now,
      rules: now.rules.filter((rule) => !rules.includes(rule)),
    }))
  }

  /** Whether a bandwidth can be held on this host. */
  async hasBandwidth(): Promise<boolean> {
    this.#canShape ??= canShape()
    return await this.#canShape
  }
  /** Holds a connected container to a bandwidth in each direction; undefined or a rate of 0: to none. */
  async setBandwidth(slot: number, initPid: number, bandwidth: Limits['bandwidth']): Promise<void> {
    await shape(linkName(this.#options.names, slot), initPid, bandwidth)
  }

  /**
   * Takes a container's rules and ports away; `ports` are what its journal says. It may be said again when something of it
   * failed.
   */
  async disconnect(slot: number, ports: readonly MappedPort[]): Promise<void> {
    const container = this.#containers.get(slot)
    this.#containers.delete(slot)
    await (container === undefined ? this.#ports.release(slot, ports) : this.#forget(container))
  }
  /**
   * Until its link is gone, by itself when somebody ends its processes meanwhile. Nothing passes it any more once the rules are
   * gone, and its address may be another's: only its slot's name is taken.
   */
  async unlink(slot: number): Promise<void> {
    const link = linkName(this.#options.names, slot)
    forgetLinkCounters(link)
    await endLink(link)
  }

  async close(): Promise<void> {
    this.#table.close()
    this.#ip.close()
    await this.#forwarder?.close()
    this.#forwarder = undefined
  }

  async #adopt(adopted: readonly ContainerNetwork[]): Promise<void> {
    const lost = await this.#ports.adopt(adopted)
    for (const container of adopted) {
      const ports = container.ports.filter(({ hostPort }) => !lost.has(hostPort))
      if (ports.length < container.ports.length)
        this.#options.logger.error('host-ports-lost', { handle: container.handle, ports: [...lost] })
      this.#containers.set(container.slot, { ...container, ports })
    }
  }

  async #makePair(home: HomeNetwork, { slot, address }: ContainerNetwork, initPid: number): Promise<void> {
    const link = linkName(this.#options.names, slot)
    const lines = hostLinkLines(home, link, address, initPid)
    try {
      await (this.#ip.isNew(link) ? this.#ip.do(lines) : ipBatch(lines))
    } catch (error) {
      if (!(error instanceof ToolGoneError)) throw error
      await deleteLink(link) // it may have been made
      await ipBatch(lines)
    }
  }

  /** Known before it is said, so that whoever disconnects the container meanwhile takes this away too. */
  async #change(
    changed: ContainerNetwork,
    text: string,
    undo: (now: ContainerNetwork) => ContainerNetwork,
  ): Promise<void> {
    this.#containers.set(changed.slot, changed)
    try {
      await this.#table.apply(text)
    } catch (error) {
      const now = this.#containers.get(changed.slot)
      if (now !== undefined) this.#containers.set(changed.slot, undo(now))
      throw error
    }
  }

  async #forget(container: ContainerNetwork): Promise<void> {
    const { slot, ports } = container
    const home = this.#ready()
    try {
      const own = ports.map(({ hostPort }) => hostPort)
      await this.#table.apply(removeContainerRules(home, container) + releaseText(own))
      this.#ports.forget(slot, ports)
    } catch (error) {
      /* half-made or changed by hand: the whole table says it again */
      this.#options.logger.debug('network-table-rebuilt', { why: messageOf(error) })
      try {
        await this.#table.apply(tableText(home, [...this.#containers.values()]))
        await this.#ports.release(slot, ports)
      } catch (failure) {
        this.#containers.set(slot, container) // it is still there, for the next attempt to remove
        throw failure
      }
    }
  }

  #ready(): HomeNetwork {
    if (this.#home === undefined) throw new ServiceUnavailableError('this node has no address range yet')
    return this.#home
  }
  #known(slot: number): ContainerNetwork {
    const container = this.#containers.get(slot)
    if (container === undefined) throw new ServiceUnavailableError('the container is not connected')
    return container
  }

  async #resolver(gateway: string): Promise<HomeNetwork['resolver']> {
    const usable = this.#options.resolvers.filter((address) => !address.includes(':'))
    const first = usable[0]
    if (first === undefined) return null
    if (!first.startsWith('127.')) return { address: first, port: 53, isLocal: await isLocalAddress(first) }
    /* a resolver on loopback cannot be reached from another network namespace: relay its questions */
    await run('ip', ['address', 'replace', `${gateway}/32`, 'dev', 'lo', 'label', gatewayLabel(this.#options.names)], {
      timeoutMs: COMMAND_TIMEOUT_MS,
    })
    this.#forwarder = await DnsForwarder.listen({ address: gateway, resolver: first, logger: this.#options.logger })
    return { address: gateway, port: this.#forwarder.port, isLocal: true }
  }

  async #enableForwarding(): Promise<void> {
    const file = '/proc/sys/net/ipv4/ip_forward'
    if ((await readFile(file, 'utf8')).trim() !== '1') await writeFile(file, '1')
  }
}

async function isLocalAddress(address: string): Promise<boolean> {
  const { stdout } = await run('ip', ['-o', 'route', 'get', address], { timeoutMs: COMMAND_TIMEOUT_MS })
  return stdout.toString().startsWith('local ')
}
