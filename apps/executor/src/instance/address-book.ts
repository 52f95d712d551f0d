import { CroftError } from '@croft/kit'

/** How long a freed address is not given again: a stale route table must never lead to another tenant. */
export const QUARANTINE_MS = 10 * 60_000

/** Which instance has which address, and which addresses rest. Times are ms since the epoch, for they outlive us. */
export interface AddressBook {
  /** `a.b.c.d/n`. */
  network: string
  /** Instance id → address. */
  assigned: Record<string, string>
  /** Address → when it was freed. */
  resting: Record<string, number>
}

export class NoAddressLeftError extends CroftError {
  constructor(network: string) {
    super({
      code: 'no-address-left',
      status: 503,
      title: `no address is left in ${network}`,
      suggestion: 'scale down, or wait ten minutes for freed addresses',
    })
  }
}

/**
 * The address of an instance: the one it has, or the next free one. Network, gateway (the first) and broadcast are never given;
 * an address of a range the node had before is replaced. Pure: returns the book to keep. @throws NoAddressLeftError
 */
export function assign(
  book: AddressBook,
  id: string,
  nowMs: number,
  quarantineMs = QUARANTINE_MS,
): { book: AddressBook; address: string } {
  const present = book.assigned[id]
  if (present !== undefined && isUsable(book.network, present)) return { book, address: present }
  const { first, last } = usable(book.network)
  const taken = new Set(Object.values(book.assigned))
  const resting = Object.fromEntries(
    Object.entries(book.resting).filter(([, freedAt]) => nowMs - freedAt < quarantineMs),
  )
  for (let number = first; number <= last; number += 1) {
    const address = toText(number)
    if (taken.has(address) || address in resting) continue
    return { book: { ...book, assigned: { ...book.assigned, [id]: address }, resting }, address }
  }
  throw new NoAddressLeftError(book.network)
}

/** Takes the address of an instance back; it rests from now on. Pure. */
export function free(book: AddressBook, id: string, nowMs: number): AddressBook {
  const { [id]: address, ...assigned } = book.assigned
  if (address === undefined) return book
  return { ...book, assigned, resting: { ...book.resting, [address]: nowMs } }
}

/**
 * Gives the address of one to another, who has none yet, without its ever being free. Null: there is nothing to give, as when the range
 * has changed meanwhile. Pure.
 */
export function move(book: AddressBook, from: string, to: string): AddressBook | null {
  const { [from]: address, ...others } = book.assigned
  if (address === undefined || book.assigned[to] !== undefined || !isUsable(book.network, address)) return null
  return { ...book, assigned: { ...others, [to]: address } }
}

function isUsable(network: string, address: string): boolean {
  const { first, last } = usable(network)
  return toNumber(address) >= first && toNumber(address) <= last
}
function usable(network: string): { first: number; last: number } {
  const [base = '', length = ''] = network.split('/')
  const size = 2 ** (32 - Number(length))
  const start = Math.floor(toNumber(base) / size) * size
  return { first: start + 2, last: start + size - 2 } // + 1 is the gateway
}
function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}
function toText(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')
}
