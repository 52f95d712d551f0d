import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { errnoOf, messageOf, run } from '@croft/kit'
import { AlreadyInUseError, ServiceUnavailableError, type MappedPort, type NetIn } from '@croft/garden-api'
import { LIST_TAKEN, markOf, readTaken, releaseText, reserveText } from './port-plan.js'
import { ephemeralPorts, PortPool } from './port-pool.js'

const COMMAND_TIMEOUT_MS = 10_000
/** Another home may take a port between our look and our claim; more often than this nobody is that unlucky. */
const MAX_ROUNDS = 5

export interface HostPortsOptions {
  homeIndex: number
  pool: { first: number; last: number }
  /** Carries out nft text in one transaction. */
  apply: (text: string) => Promise<void>
}

/**
 * The ports of the host that lead into containers of this home: no other container's, no other home's, nobody's on the host who
 * listens, and when we choose, none that the kernel might give to a socket by itself.
 */
export class HostPorts {
  readonly #pool: PortPool

  constructor(private readonly options: HostPortsOptions) {
    this.#pool = new PortPool(options.pool.first, options.pool.last)
  }

  /**
   * Takes ports for a container (by its slot), all or none, before they lead anywhere.
   * @throws AlreadyInUseError for an asked port; ServiceUnavailableError when the pool has none left
   */
  async reserve(owner: number, wanted: readonly NetIn[]): Promise<MappedPort[]> {
    if (wanted.length === 0) return []
    const taken = new Set<number>()
    try {
      const asked = askedOf(wanted)
      for (const port of asked) {
        if (!this.#pool.claim(port, owner)) throw new AlreadyInUseError(`host port ${port}`)
        taken.add(port)
      }
      await refuseListening(asked)
      const chosen = await this.#choose(owner, wanted.length - asked.length, asked, taken)
      return wanted.map(({ hostPort = 0, containerPort = 0 }) => {
        const port = hostPort === 0 ? (chosen.shift() ?? 0) : hostPort
        return { hostPort: port, containerPort: containerPort === 0 ? port : containerPort }
      })
    } catch (error) {
      for (const port of taken) this.#pool.free(port, owner)
      throw error
    }
  }

  /** @throws AlreadyInUseError for an asked port that could not be had now */
  async check(wanted: readonly NetIn[]): Promise<void> {
    const asked = askedOf(wanted)
    const taken = asked.find((port, index) => this.#pool.ownerOf(port) !== undefined || asked.indexOf(port) !== index)
    if (taken !== undefined) throw new AlreadyInUseError(`host port ${taken}`)
    await refuseListening(asked)
  }

  /** Gives ports back that lead nowhere any more, as far as they are still the container's; it may be said twice. */
  async release(owner: number, ports: readonly MappedPort[]): Promise<void> {
    if (ports.length === 0) return
    const mine = markOf(this.options.homeIndex)
    const taken = await takenPorts()
    const own = ports
      .map(({ hostPort }) => hostPort)
      .filter((port) => (this.#pool.ownerOf(port) ?? owner) === owner && taken.get(port) === mine)
    if (own.length > 0) await this.options.apply(releaseText(own))
    this.forget(owner, ports)
  }
  /** Lets ports be given again whose entries are gone from the kernel. */
  forget(owner: number, ports: readonly MappedPort[]): void {
    for (const { hostPort } of ports) this.#pool.free(hostPort, owner)
  }

  /**
   * Takes up the ports of adopted containers and gives back what a crash left reserved.
   * Returns those that another home has meanwhile (when somebody had emptied the kernel's tables).
   */
  async adopt(containers: readonly { slot: number; ports: readonly MappedPort[] }[]): Promise<Set<number>> {
    for (const { slot, ports } of containers) for (const { hostPort } of ports) this.#pool.claim(hostPort, slot)
    const mine = markOf(this.options.homeIndex)
    const wanted = containers.flatMap(({ ports }) => ports.map(({ hostPort }) => hostPort))
    for (let round = 1; ; round++) {
      const taken = await takenPorts()
      const isOthers = (port: number): boolean => (taken.get(port) ?? mine) !== mine
      const stale = [...taken].flatMap(([port, mark]) =>
        mark === mine && this.#pool.ownerOf(port) === undefined ? [port] : [],
      )
      const kept = wanted.filter((port) => !isOthers(port))
      try {
        await this.options.apply(releaseText(stale) + reserveText(this.options.homeIndex, kept))
        return new Set(wanted.filter(isOthers))
      } catch (error) {
        if (!messageOf(error).includes('File exists') || round === MAX_ROUNDS) throw error
      }
    }
  }

  /** Takes `count` ports of the pool, noting them in `taken`, and claims them and the asked ones before the other homes. */
  async #choose(owner: number, count: number, asked: readonly number[], taken: Set<number>): Promise<number[]> {
    const isEphemeral = await readEphemeralPorts()
    let ofOthers = new Map<number, number>()
    for (let round = 1; ; round++) {
      const chosen: number[] = []
      const mayTake = (port: number): boolean => !isEphemeral(port) && !ofOthers.has(port)
      while (chosen.length < count) {
        const port = await this.#takeSilent(owner, mayTake)
        chosen.push(port)
        taken.add(port)
      }
      try {
        await this.options.apply(reserveText(this.options.homeIndex, [...asked, ...chosen]))
        return chosen
      } catch (error) {
        if (!messageOf(error).includes('File exists') || round === MAX_ROUNDS) throw error
        const mine = markOf(this.options.homeIndex)
        ofOthers = new Map([...(await takenPorts())].filter(([, mark]) => mark !== mine))
        const clash = asked.find((port) => ofOthers.has(port))
        if (clash !== undefined) throw new AlreadyInUseError(`host port ${clash}`)
        for (const port of chosen) {
          this.#pool.free(port, owner)
          taken.delete(port)
        }
      }
    }
  }

  /** A port of the pool that nobody listens on. */
  async #takeSilent(owner: number, mayTake: (port: number) => boolean): Promise<number> {
    const busy = new Set<number>()
    for (;;) {
      const port = this.#pool.take(owner, (one) => mayTake(one) && !busy.has(one))
      if (port === null) throw new ServiceUnavailableError('port pool is exhausted')
      if (!(await isListening(port))) return port
      this.#pool.free(port, owner)
      busy.add(port)
    }
  }
}

const askedOf = (wanted: readonly NetIn[]): number[] =>
  wanted.flatMap(({ hostPort = 0 }) => (hostPort === 0 ? [] : [hostPort]))

async function refuseListening(ports: readonly number[]): Promise<void> {
  for (const port of ports) if (await isListening(port)) throw new AlreadyInUseError(`host port ${port}`)
}

/** Port to the mark of the home that has it. */
export async function takenPorts(): Promise<Map<number, number>> {
  try {
    return readTaken((await run('nft', LIST_TAKEN, { timeoutMs: COMMAND_TIMEOUT_MS })).stdout.toString())
  } catch (error) {
    if (messageOf(error).includes('No such file')) return new Map()
    throw error
  }
}

/** Whether a socket of the host listens on a TCP port, on whatever address: asked by trying to. */
async function isListening(port: number): Promise<boolean> {
  for (const host of ['::', '0.0.0.0']) {
    const server = createServer((socket) => socket.destroy())
    try {
      server.listen({ port, host })
      await once(server, 'listening')
      return false
    } catch (error) {
      if (errnoOf(error) === 'EADDRINUSE') return true
      if (host === '0.0.0.0') throw error // the first may fail for want of IPv6
    } finally {
      server.close()
    }
  }
  return false
}

async function readEphemeralPorts(): Promise<(port: number) => boolean> {
  const [range, reserved] = await Promise.all(
    ['ip_local_port_range', 'ip_local_reserved_ports'].map(
      async (name) => await readFile(`/proc/sys/net/ipv4/${name}`, 'utf8'),
    ),
  )
  return ephemeralPorts(range ?? '', reserved ?? '')
}
