/** A map that forgets its oldest entry when it is full. */
export class Recent<V> {
  readonly #entries = new Map<string, V>()

  constructor(private readonly size: number) {}

  get(key: string): V | undefined {
    return this.#entries.get(key)
  }
  set(key: string, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > this.size && oldest !== undefined) this.#entries.delete(oldest)
  }
}
