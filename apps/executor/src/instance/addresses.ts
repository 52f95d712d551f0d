import { readFile } from 'node:fs/promises'
import type { Clock } from '@croft/kit'
import { z } from 'zod'
import { SerialQueues } from '../converge/serial-queues.js'
import { writeWhole } from '../write-whole.js'
import { assign, free, move, QUARANTINE_MS, type AddressBook } from './address-book.js'

const bookSchema = z.object({
  network: z.string(),
  assigned: z.record(z.string(), z.string()),
  resting: z.record(z.string(), z.number()),
})

/** The address book of this node on its disk: an address is written down before anybody gets it. */
export class Addresses {
  readonly #queue = new SerialQueues()

  private constructor(
    private readonly path: string,
    private readonly clock: Clock,
    private readonly quarantineMs: number,
    private book: AddressBook,
  ) {}

  /** Opens the book; `network` is empty until the node has joined for the first time. */
  static async open(path: string, clock: Clock, timeScale: number): Promise<Addresses> {
    const empty: AddressBook = { network: '', assigned: {}, resting: {} }
    const parsed = bookSchema.safeParse(await readFile(path, 'utf8').then(JSON.parse, () => empty))
    return new Addresses(path, clock, QUARANTINE_MS / timeScale, parsed.success ? parsed.data : empty)
  }

  /** The node's range, empty before the first join. */
  get network(): string {
    return this.book.network
  }

  setNetwork(network: string): Promise<void> {
    return this.#queue.run('book', async () => {
      if (network !== this.book.network) await this.#keep({ ...this.book, network })
    })
  }

  /** The address of an instance, the same whenever it is asked. @throws NoAddressLeftError */
  of(id: string): Promise<string> {
    return this.#queue.run('book', async () => {
      const { book, address } = assign(this.book, id, this.clock.now(), this.quarantineMs)
      if (book !== this.book) await this.#keep(book)
      return address
    })
  }

  free(id: string): Promise<void> {
    return this.#queue.run('book', async () => await this.#keep(free(this.book, id, this.clock.now())))
  }

  /** Gives the address of one to another in one write, as `move` does; false when there is none to give. */
  move(from: string, to: string): Promise<boolean> {
    return this.#queue.run('book', async () => {
      const book = move(this.book, from, to)
      if (book !== null) await this.#keep(book)
      return book !== null
    })
  }

  /** Notes the address an instance has; one of two that claim the same keeps it. */
  reclaim(id: string, address: string): Promise<void> {
    return this.#queue.run('book', async () => {
      if (this.book.assigned[id] !== undefined || Object.values(this.book.assigned).includes(address)) return
      await this.#keep({ ...this.book, assigned: { ...this.book.assigned, [id]: address } })
    })
  }

  /** Instances that hold an address. */
  holders(): string[] {
    return Object.keys(this.book.assigned)
  }

  async #keep(book: AddressBook): Promise<void> {
    await writeWhole(this.path, JSON.stringify(book))
    this.book = book
  }
}
