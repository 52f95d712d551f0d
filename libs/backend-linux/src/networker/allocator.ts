import { formatAddress, isInside, parseAddress, type Network } from './address.js'

/** Hands out numbers of 0…size-1, the one free longest first, so that a name is not reused at once. */
export class SlotAllocator {
  readonly #taken = new Set<number>()
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
  get count(): number {
    return this.#taken.size
  }
}

export type AddressClaim =
  | { kind: 'taken'; address: string }
  | { kind: 'in-use' }
  | { kind: 'outside' }
  | { kind: 'full' }

/** The addresses of the home's range: all but the network's own, the gateway and the last. */
export class AddressAllocator {
  readonly #taken = new Set<number>()
  #next = 2

  constructor(public network: Network) {}

  /** The asked address, or the next free one. */
  take(wanted?: string): AddressClaim {
    if (wanted !== undefined) {
      const address = parseAddress(wanted)
      if (address === null || !this.#isUsable(address)) return { kind: 'outside' }
      if (this.#taken.has(address)) return { kind: 'in-use' }
      this.#taken.add(address)
      return { kind: 'taken', address: formatAddress(address) }
    }
    const usable = this.network.size - 3
    for (let tries = 0; tries < usable; tries++) {
      const offset = ((this.#next - 2 + tries) % usable) + 2
      const address = this.network.base + offset
      if (this.#taken.has(address)) continue
      this.#taken.add(address)
      this.#next = offset + 1
      return { kind: 'taken', address: formatAddress(address) }
    }
    return { kind: 'full' }
  }
  /** Marks an adopted container's address, wherever it lies. */
  claim(text: string): void {
    const address = parseAddress(text)
    if (address !== null) this.#taken.add(address)
  }
  free(text: string): void {
    const address = parseAddress(text)
    if (address !== null) this.#taken.delete(address)
  }
  #isUsable(address: number): boolean {
    const offset = address - this.network.base
    return isInside(this.network, address) && offset >= 2 && offset < this.network.size - 1
  }
}
