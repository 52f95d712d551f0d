import { DEFAULT_UID_BASE, SLOT_SIZE, SLOTS_PER_HOME } from '../options.js'

/** Everything on the host that bears the name of a home's index k. A sweep touches nothing else. */
export interface HomeNames {
  index: number
  /** All host ends of veth pairs are in this interface group. */
  linkGroup: number
  linkPrefix: string
  nftTable: string
  /** Number of the routing protocol that the home's own routes bear (rtnetlink(7): above 4 it is free to choose). */
  routeProtocol: number
}

const LINK_GROUP_BASE = 0xc0f0
const ROUTE_PROTOCOL_BASE = 100

export function homeNames(index: number): HomeNames {
  return {
    index,
    linkGroup: LINK_GROUP_BASE + index,
    linkPrefix: `c${index}-`,
    nftTable: `croft_${index}`,
    routeProtocol: ROUTE_PROTOCOL_BASE + index,
  }
}

/** The first host uid of a container slot. */
export function slotUid(index: number, slot: number, uidBase = DEFAULT_UID_BASE): number {
  return uidBase + (index * SLOTS_PER_HOME + slot) * SLOT_SIZE
}

/** Host end of a slot's veth pair; at most 15 characters. */
export function linkName(names: HomeNames, slot: number): string {
  return `${names.linkPrefix}${slot}`
}

const HANDLE = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

/** Whether a container may be named so; it is a file name then, and no other folder's. */
export function isHandle(text: string): boolean {
  return HANDLE.test(text)
}

/** What runc calls a container: its names hold no colon, and handles no plus sign. */
export function runcId(handle: string): string {
  return handle.replaceAll(':', '+')
}
