import { access, readFile, writeFile } from 'node:fs/promises'
import { bareEnv, errnoOf, failpoint, messageOf, run, type Logger } from '@croft/kit'
import { AlreadyInUseError, ServiceUnavailableError, type NetOutRule } from '@croft/garden-api'
import type { HomeNames } from '../home/naming.js'
import { linkName } from '../home/naming.js'
import type { EgressRule } from '../options.js'
import { gatewayOf, parseNetwork, type Network } from './address.js'
import { DnsForwarder } from './dns-forwarder.js'
import {
  addContainerRules,
  containerLinkLines,
  hostLinkLines,
  removeContainerRules,
  tableText,
  type ContainerNetwork,
  type HomeNetwork,
} from './plan.js'

const COMMAND_TIMEOUT_MS = 10_000

export interface NetworkerOptions {
  names: HomeNames
  resolvers: readonly string[]
  egress: readonly EgressRule[]
  logger: Logger
}

/** Applies plans to the host: links, routes and the home's nft table. */
export class Networker {
  readonly #options: NetworkerOptions
  #home: HomeNetwork | undefined
  #network: Network | undefined
  #forwarder: DnsForwarder | undefined
  #changes: Promise<void> = Promise.resolve()
  readonly #containers = new Map<number, ContainerNetwork>()

  constructor(options: NetworkerOptions) {
    this.#options = options
  }

  get network(): Network | undefined {
    return this.#network
  }
  /** @throws ServiceUnavailableError when no range is known yet */
  get gateway(): string {
    return this.#ready().gateway
  }

  /**
   * Takes the home's range, and puts the table and the gateway's DNS in place for the containers known.
   * @throws AlreadyInUseError when another home of this host has the range
   */
  async setNetwork(text: string, adopted: readonly ContainerNetwork[]): Promise<void> {
    const network = parseNetwork(text)
    if (network === null || network.prefix > 29) throw new RangeError(`not a usable IPv4 range: ${text}`)
    const gateway = gatewayOf(network)
    await reserveRange(text, this.#options.names)
    await this.#forwarder?.close()
    this.#forwarder = undefined
    await this.#enableForwarding()
    await dropGateway(this.#options.names)
    this.#network = network
    this.#home = {
      table: this.#options.names.nftTable,
      linkGroup: this.#options.names.linkGroup,
      gateway,
      resolver: await this.#resolver(gateway),
      egress: this.#options.egress,
    }
    for (const container of adopted) this.#containers.set(container.slot, container)
    await this.#apply(tableText(this.#home, [...this.#containers.values()]))
  }

  /** Connects a container: its pair, its addresses, its rules. */
  async connect(
    slot: number,
    address: string,
    initPid: number,
    netOut: readonly NetOutRule[] | undefined,
  ): Promise<void> {
    const home = this.#ready()
    const container = { slot, address, netOut }
    const link = linkName(this.#options.names, slot)
    this.#containers.set(slot, container)
    await Promise.all([
      ipBatch(['ip'], hostLinkLines(home, link, address, initPid)).then(async () => {
        failpoint('container-linked')
        await ipBatch(['nsenter', '-t', String(initPid), '-n', 'ip'], containerLinkLines(home, address))
      }),
      this.#apply(addContainerRules(home, container)),
    ])
  }

  /** Takes a container's rules away and its link, if that has not gone with its namespace. */
  async disconnect(slot: number): Promise<void> {
    const container = this.#containers.get(slot)
    this.#containers.delete(slot)
    await Promise.all([this.#unlink(linkName(this.#options.names, slot)), this.#forget(container)])
  }

  /** The namespace takes the pair along when its last process ends, but some time after that. */
  async #unlink(link: string): Promise<void> {
    if (await hasLink(link)) await deleteLink(link)
  }
  async #forget(container: ContainerNetwork | undefined): Promise<void> {
    if (container === undefined || this.#home === undefined) return
    try {
      await this.#apply(removeContainerRules(this.#home, container))
    } catch (error) {
      /* half-made or changed by hand: the whole table says it again */
      this.#options.logger.debug('network-table-rebuilt', { why: messageOf(error) })
      await this.#apply(tableText(this.#home, [...this.#containers.values()])).catch((failure: unknown) => {
        this.#containers.set(container.slot, container) // it is still there, for the next attempt to remove
        throw failure
      })
    }
  }

  async close(): Promise<void> {
    await this.#forwarder?.close()
    this.#forwarder = undefined
  }

  /** One change of the table after the other. */
  async #apply(text: string): Promise<void> {
    const mine = this.#changes.then(async () => await nft(text))
    this.#changes = mine.catch(() => undefined) // its own caller hears of a failure
    await mine
  }

  #ready(): HomeNetwork {
    if (this.#home === undefined) throw new ServiceUnavailableError('this node has no address range yet')
    return this.#home
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

/** Runs nft statements in one transaction. */
export async function nft(text: string): Promise<void> {
  await run('nft', ['-f', '-'], { input: text, timeoutMs: COMMAND_TIMEOUT_MS })
}

async function ipBatch(command: readonly [string, ...string[]], lines: string): Promise<void> {
  const [name, ...args] = command
  await run(name, [...args, '-batch', '-'], { input: lines, timeoutMs: COMMAND_TIMEOUT_MS, env: bareEnv() })
}

/** Names of the host ends of the home's veth pairs. */
export async function listLinks(names: HomeNames): Promise<string[]> {
  const text = await readFile('/proc/net/dev', 'utf8')
  return text
    .split('\n')
    .map((line) => line.split(':')[0]?.trim() ?? '')
    .filter((name) => name.startsWith(names.linkPrefix))
}

async function hasLink(link: string): Promise<boolean> {
  try {
    await access(`/sys/class/net/${link}`)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

/** Deletes a link; one that is gone is fine. */
export async function deleteLink(link: string): Promise<void> {
  try {
    await run('ip', ['link', 'delete', 'dev', link], { timeoutMs: COMMAND_TIMEOUT_MS })
  } catch (error) {
    /* the second is said when the namespace of its other end takes it away at that moment */
    if (!/Cannot find device|No such device/.test(messageOf(error))) throw error
  }
}

/** Deletes the home's table and the gateway's address on loopback. */
export async function removeHomeNetwork(names: HomeNames): Promise<void> {
  for (const link of await listLinks(names)) await deleteLink(link)
  await dropGateway(names)
  await dropRanges(names)
  await nft(`add table inet ${names.nftTable}\ndelete table inet ${names.nftTable}\n`)
}

/**
 * Makes the range ours, for every home on this host to see: an `unreachable` route for all of it, below the routes of the
 * containers that run. What is not there is then also refused at once instead of leaving through the default route.
 */
async function reserveRange(range: string, names: HomeNames): Promise<void> {
  const route = ['unreachable', range, 'proto', String(names.routeProtocol)]
  const own = await routesOf(names)
  for (const other of own)
    if (other !== range) await run('ip', ['route', 'del', 'unreachable', other], { timeoutMs: COMMAND_TIMEOUT_MS })
  if (own.includes(range)) return
  try {
    await run('ip', ['route', 'add', ...route], { timeoutMs: COMMAND_TIMEOUT_MS })
  } catch (error) {
    if (messageOf(error).includes('File exists')) throw new AlreadyInUseError(`address range ${range}`)
    throw error
  }
}

/** The ranges a home has reserved. */
async function routesOf(names: HomeNames): Promise<string[]> {
  const command = ['-o', '-4', 'route', 'show', 'type', 'unreachable', 'proto', String(names.routeProtocol)]
  const { stdout } = await run('ip', command, { timeoutMs: COMMAND_TIMEOUT_MS })
  return [...stdout.toString().matchAll(/^unreachable (\S+)/gm)].map((match) => match[1] ?? '')
}

async function dropRanges(names: HomeNames): Promise<void> {
  for (const range of await routesOf(names))
    await run('ip', ['route', 'del', 'unreachable', range], { timeoutMs: COMMAND_TIMEOUT_MS })
}

/** The gateway's address on loopback is known by its label. */
const gatewayLabel = (names: HomeNames): string => `lo:c${names.index}`

async function dropGateway(names: HomeNames): Promise<void> {
  await run('ip', ['address', 'flush', 'dev', 'lo', 'label', gatewayLabel(names)], { timeoutMs: COMMAND_TIMEOUT_MS })
}
