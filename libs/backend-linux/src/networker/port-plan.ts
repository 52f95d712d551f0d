import type { MappedPort } from '@croft/garden-api'

/**
 * The nft text of mapped ports. Pure. Which home has which port of the host is kept by the kernel, in one table that all homes of a
 * network namespace share: a port that stands there for one home cannot be added for another, in whatever order they come,
 * and an entry outlives the process that made it. Each home's own table says where its ports lead.
 */
export const SHARED_TABLE = 'croft_ports'
const TAKEN = 'taken'

/** What stands for a home in the shared table; 0 is no mark. */
export const markOf = (homeIndex: number): number => homeIndex + 1

/** A rule that refers to the map keeps it from being deleted by another home; nothing ever runs it. */
const keeper = (homeIndex: number): string => `home_${homeIndex}`

const elements = (parts: readonly string[]): string => `{ ${parts.join(', ')} }`

/** Fails as a whole with "File exists" when another home has one of the ports. */
export function reserveText(homeIndex: number, ports: readonly number[]): string {
  if (ports.length === 0) return ''
  const own = keeper(homeIndex)
  return [
    `add table inet ${SHARED_TABLE}`,
    `add map inet ${SHARED_TABLE} ${TAKEN} { type inet_service : mark; }`,
    `add chain inet ${SHARED_TABLE} ${own}`,
    `flush chain inet ${SHARED_TABLE} ${own}`,
    `add rule inet ${SHARED_TABLE} ${own} meta mark set tcp dport map @${TAKEN}`,
    `add element inet ${SHARED_TABLE} ${TAKEN} ${elements(ports.map((port) => `${port} : ${markOf(homeIndex)}`))}`,
    '',
  ].join('\n')
}

export function releaseText(ports: readonly number[]): string {
  return ports.length === 0 ? '' : `delete element inet ${SHARED_TABLE} ${TAKEN} ${elements(ports.map(String))}\n`
}

/** The home has no port any more. */
export function leaveText(homeIndex: number): string {
  const own = keeper(homeIndex)
  return `add chain inet ${SHARED_TABLE} ${own}\nflush chain inet ${SHARED_TABLE} ${own}\ndelete chain inet ${SHARED_TABLE} ${own}\n`
}

/** Refused by the kernel ("resource busy") while any home has ports. */
export const REMOVE_SHARED_TABLE = `delete map inet ${SHARED_TABLE} ${TAKEN}\ndelete table inet ${SHARED_TABLE}\n`

/** Arguments of nft that print the shared map for `readTaken`. */
export const LIST_TAKEN = ['-j', 'list', 'map', 'inet', SHARED_TABLE, TAKEN]

/** Port to mark, from what nft prints. */
export function readTaken(json: string): Map<number, number> {
  const { nftables } = JSON.parse(json) as { nftables: { map?: { elem?: [number, number][] } }[] }
  return new Map(nftables.flatMap((one) => one.map?.elem ?? []))
}

const target = (address: string, port: MappedPort): string => `${port.hostPort} : ${address} . ${port.containerPort}`

/** Where ports of the host lead, in the home's own table. */
export function leadText(table: string, address: string, ports: readonly MappedPort[]): string {
  if (ports.length === 0) return ''
  return `add element inet ${table} ports_in ${elements(ports.map((port) => target(address, port)))}\n`
}

export function endLeadText(table: string, ports: readonly MappedPort[]): string {
  if (ports.length === 0) return ''
  return `delete element inet ${table} ports_in ${elements(ports.map((port) => String(port.hostPort)))}\n`
}
