/** Which ports of the host are given away, to whom (a container's slot), and which to give next. Pure. */
export class PortPool {
  readonly #owners = new Map<number, number>()
  #next: number

  constructor(
    readonly first: number,
    readonly last: number,
  ) {
    this.#next = first
  }

  get size(): number {
    return Math.max(0, this.last - this.first + 1)
  }
  ownerOf(port: number): number | undefined {
    return this.#owners.get(port)
  }
  /** Marks a port, of the pool or not; false when it is taken. */
  claim(port: number, owner: number): boolean {
    if (this.#owners.has(port)) return false
    this.#owners.set(port, owner)
    return true
  }
  /** The next free port of the pool after the one given last, so that one is not given again at once; null when there is none. */
  take(owner: number, mayTake: (port: number) => boolean): number | null {
    for (let tries = 0; tries < this.size; tries++) {
      const port = this.first + ((this.#next - this.first + tries) % this.size)
      if (!mayTake(port) || !this.claim(port, owner)) continue
      this.#next = port + 1
      return port
    }
    return null
  }
  /** Only what the owner has. */
  free(port: number, owner: number): void {
    if (this.#owners.get(port) === owner) this.#owners.delete(port)
  }
}

/**
 * Whether the kernel may give a port away by itself, to a socket that asks for none: inside net.ipv4.ip_local_port_range and
 * not in net.ipv4.ip_local_reserved_ports.
 */
export function ephemeralPorts(rangeText: string, reservedText: string): (port: number) => boolean {
  const [first = 1, last = 0] = rangeText.trim().split(/\s+/).map(Number)
  const reserved = reservedText
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .map((part) => part.split('-').map(Number))
  return (port) =>
    port >= first && port <= last && !reserved.some(([from = 0, to = from]) => port >= from && port <= to)
}
