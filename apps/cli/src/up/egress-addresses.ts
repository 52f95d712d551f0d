import { lookup } from 'node:dns/promises'
import { BlockList, isIPv4 } from 'node:net'
import type { EgressTarget } from './egress.js'

const TIMEOUT_MS = 2_000

/** Ranges containers may not reach unless they are on the platform's list; everything else they may reach anyway. */
const closed = new BlockList()
closed.addSubnet('10.0.0.0', 8)
closed.addSubnet('100.64.0.0', 10)
closed.addSubnet('169.254.0.0', 16)
closed.addSubnet('172.16.0.0', 12)
closed.addSubnet('192.168.0.0', 16)

/** Whether an IPv4 address needs to be on the list to be reached. Pure. */
export function needsPermission(address: string): boolean {
  return closed.check(address)
}

/**
 * The list by IPv4 address: only those in private ranges, so that the turning addresses of a public registry do not make it a
 * different one with every start. A name that nobody resolves now is left out.
 */
export async function resolveEgress(targets: readonly EgressTarget[]): Promise<EgressTarget[]> {
  const found = await Promise.all(
    targets.map(async ({ host, port }) =>
      (await addressesOf(host)).filter(needsPermission).map((address) => ({ host: address, port })),
    ),
  )
  const unique = new Map(found.flat().map((target) => [`${target.host}:${target.port}`, target]))
  return [...unique.entries()].sort(([a], [b]) => a.localeCompare(b)).map(([, target]) => target)
}

async function addressesOf(host: string): Promise<string[]> {
  if (isIPv4(host)) return [host]
  const late = new Promise<string[]>((resolve) => setTimeout(() => resolve([]), TIMEOUT_MS).unref())
  const asked = lookup(host, { all: true, family: 4 }).then((answers) => answers.map(({ address }) => address))
  return Promise.race([asked.catch(() => []), late])
}
