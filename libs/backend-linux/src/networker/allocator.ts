import { formatAddress, formatNetwork, isInside, overlaps, parseBlock, parseAddress, type Network } from './address.js'

/** Hands out numbers of 0…size-1, the one free longest first, so that a name is not reused at once. */
export class SlotAllocator {
  readonly #taken = new Set<number>()
  /** Taken still, by what goes by itself. */
  readonly #draining = new Map<number, Promise<void>>()
  #next = 0

  constructor(readonly size: number) {}

  /** The number, or null when all are taken. */
  take(): number | null {
    for (let tries = 0; tries < this.size; tries++) {
      const slot = (this.#next + tries) % this.size
      if (this.#taken.has(slot)) continue
      this.#taken.add(slot)
      this.#next = (slot + 1) % this.size
      return slot
    }
    return null
  }
  /** Marks a number as taken; false when it was. */
  claim(slot: number): boolean {
    if (slot < 0 || slot >= this.size || this.#taken.has(slot)) return false
    this.#taken.add(slot)
    return true
  }
  free(slot: number): void {
    this.#taken.delete(slot)
  }
  /** Frees a number as soon as what bears its name has gone; with false it stays taken. */
  freeAfter(slot: number, gone: Promise<boolean>): void {
    const drained = gone.then((isGone) => {
      this.#draining.delete(slot)
      if (isGone) this.free(slot)
    })
    this.#draining.set(slot, drained)
  }
  /** As `take`, but waits when all are taken and some of them are about to be free. */
  async takeSoon(): Promise<number | null> {
    for (;;) {
      const slot = this.take()
      if (slot !== null || this.#draining.size === 0) return slot
      await Promise.race(this.#draining.values())
    }
  }
  get count(): number {
    return this.#taken.size
  }
}

export type AddressClaim =
  /** `subnet`: the block that was asked for, as `a.b.c.d/n`. */
  | { kind: 'taken'; address: string; subnet: string | null }
  | { kind: 'in-use' }
  | { kind: 'not-an-address' }
  | { kind: 'outside' }
  | { kind: 'reserved'; as: 'network' | 'gateway' | 'broadcast'; of: string }
  | { kind: 'overlaps'; subnet: string }
  /** `subnet` null: the whole range. */
  | { kind: 'full'; subnet: string | null }

/** A smaller block has no address left beside its network's, its gateway's and its broadcast address. */
const LONGEST_PREFIX = 30

/**
 * The addresses of the home's range: all but the network's own, the gateway and the last. Whoever asks for a block of it
 * (`a.b.c.d/n`) shares it only with those that ask for the same; routes are of single addresses, so a block is nothing but
 * a choice of addresses, with Garden's rules about which of them are usable.
 */
export class AddressAllocator {
  /** Address to the block it was asked in. */
  readonly #taken = new Map<number, string | null>()
  #next = 2

  constructor(public network: Network) {}

  /**
   * `a.b.c.d` (or `/32`): that address. `a.b.c.d/n`: that address of that block, or when it is the block's own, the next
   * free one in it. Nothing: the next free one, outside of asked blocks while there is one.
   */
  take(wanted?: string): AddressClaim {
    if (wanted === undefined) return this.#takeAny()
    const block = parseBlock(wanted)
    if (block === null) return { kind: 'not-an-address' }
    const { address, network } = block
    if (network.prefix === 32) {
      if (!isInside(this.network, address)) return { kind: 'outside' }
      return this.#takeExactly(address, null)
    }
    if (network.prefix > LONGEST_PREFIX) return { kind: 'not-an-address' }
    if (!isInside(this.network, network.base) || network.prefix < this.network.prefix) return { kind: 'outside' }
    const subnet = formatNetwork(network)
    for (const other of new Set(this.#taken.values())) {
      const asked = other === null || other === subnet ? null : parseBlock(other)
      if (asked !== null && overlaps(asked.network, network)) return { kind: 'overlaps', subnet: other ?? '' }
    }
    if (address === network.base) return this.#takeInside(network, subnet)
    const reserved = reservedOf(network, address)
    if (reserved !== null) return { kind: 'reserved', as: reserved, of: subnet }
    return this.#takeExactly(address, subnet)
  }
  /** Marks an adopted container's address, wherever it lies. */
  claim(text: string, subnet: string | null = null): void {
    const address = parseAddress(text)
    if (address !== null) this.#taken.set(address, subnet)
  }
  free(text: string): void {
    const address = parseAddress(text)
    if (address !== null) this.#taken.delete(address)
  }

  #takeExactly(address: number, subnet: string | null): AddressClaim {
    const reserved = reservedOf(this.network, address)
    if (reserved !== null) return { kind: 'reserved', as: reserved, of: formatNetwork(this.network) }
    if (this.#taken.has(address)) return { kind: 'in-use' }
    this.#taken.set(address, subnet)
    return { kind: 'taken', address: formatAddress(address), subnet }
  }
  #takeInside(network: Network, subnet: string): AddressClaim {
    for (let address = network.base + 2; address < network.base + network.size - 1; address++) {
      const claim = this.#takeExactly(address, subnet)
      if (claim.kind === 'taken') return claim
    }
    return { kind: 'full', subnet }
  }
  #takeAny(): AddressClaim {
    const usable = this.network.size - 3
    const asked = [...new Set(this.#taken.values())].map((subnet) => parseBlock(subnet ?? '')?.network)
    const isAsked = (address: number): boolean =>
      asked.some((network) => network !== undefined && isInside(network, address))
    for (const mayShare of [false, true]) {
      for (let tries = 0; tries < usable; tries++) {
        const offset = ((this.#next - 2 + tries) % usable) + 2
        const address = this.network.base + offset
        if (this.#taken.has(address) || (!mayShare && isAsked(address))) continue
        this.#next = offset + 1
        return this.#takeExactly(address, null)
      }
    }
    return { kind: 'full', subnet: null }
  }
}

function reservedOf(network: Network, address: number): 'network' | 'gateway' | 'broadcast' | null {
  if (address === network.base) return 'network'
  if (address === network.base + 1) return 'gateway'
  return address === network.base + network.size - 1 ? 'broadcast' : null
}
