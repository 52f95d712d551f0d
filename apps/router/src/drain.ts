import type { Draining } from './snapshot-file.js'

/** Looks without a request in flight before an instance counts as drained: one may fall between choosing a server and counting it. */
const IDLE_LOOKS = 2

/**
 * Instances that left the table while requests to them may be in flight. Known by address: an address is not given to another
 * instance before every router served a table without it, and then some.
 */
export class DrainingInstances {
  readonly #byAddress = new Map<string, { instanceId: string; idleLooks: number }>()

  constructor(kept: readonly Draining[] = []) {
    for (const { address, instanceId } of kept) this.#byAddress.set(address, { instanceId, idleLooks: 0 })
  }

  /** A new table: what is gone from the old one drains, what is back in the new one does not. */
  replaceTable(before: Iterable<Draining>, after: ReadonlySet<string>): void {
    for (const { address, instanceId } of before) {
      if (!this.#byAddress.has(address)) this.#byAddress.set(address, { instanceId, idleLooks: 0 })
    }
    for (const address of after) this.#byAddress.delete(address)
  }

  /** Takes a look's count of requests by address; returns whether an instance is now drained. */
  look(sessions: ReadonlyMap<string, number>): boolean {
    const before = this.#byAddress.size
    for (const [address, entry] of this.#byAddress) {
      entry.idleLooks = (sessions.get(address) ?? 0) > 0 ? 0 : entry.idleLooks + 1
      if (entry.idleLooks >= IDLE_LOOKS) this.#byAddress.delete(address)
    }
    return this.#byAddress.size !== before
  }

  has(address: string): boolean {
    return this.#byAddress.has(address)
  }

  get size(): number {
    return this.#byAddress.size
  }

  list(): Draining[] {
    return [...this.#byAddress].map(([address, { instanceId }]) => ({ address, instanceId }))
  }
}
