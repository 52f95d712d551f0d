import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { LifecycleError } from '@croft/lifecycle'
import { spanOf, type EgressTarget } from '@croft/protocol'

/** Destinations that may be reached although they lie in a private range: those of the platform's egress list. */
export type Egress = EgressTarget

const PRIVATE: readonly [address: string, prefix: number, family: 'ipv4' | 'ipv6'][] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 96, 'ipv6'],
  ['64:ff9b::', 96, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
]
const blocked = new BlockList()
for (const [address, prefix, family] of PRIVATE) blocked.addSubnet(address, prefix, family)

/** Whether an address is one of the public internet; an IPv4 address in IPv6 clothes is what it stands for. */
export function isPublic(address: string): boolean {
  const version = isIP(address)
  return version !== 0 && !blocked.check(address, version === 4 ? 'ipv4' : 'ipv6')
}

/**
 * The address by which a host may be reached from here, under the rules that hold for builds: the public internet, and what the
 * egress list names. Asked once, so that what was checked is what is reached.
 * @throws LifecycleError when it may not, or has no address
 */
export async function reachableAddress(url: URL, egress: readonly Egress[]): Promise<string> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? 443 : Number(url.port)
  const here = egress.filter((one) => one.port === port)
  const isListed = here.some((one) => one.host === host)
  const listed = new BlockList()
  for (const one of here.filter(({ host }) => isIP(host.split('/')[0] ?? '') === 4)) {
    const { start, end } = spanOf(one.host)
    listed.addRange(start, end)
  }
  const found = await lookup(host, { all: true }).catch((error: unknown) => {
    const title = `the buildpack at ${url.href} cannot be fetched: ${host} has no address`
    throw new LifecycleError('detect', title, 'correct the address, or let the platform reach it', { cause: error })
  })
  const allowed = found.find(({ address }) => isListed || isPublic(address) || listed.check(address))
  if (allowed !== undefined) return allowed.address
  throw new LifecycleError(
    'detect',
    `the buildpack at ${url.href} may not be fetched: ${host} lies in a private range`,
    'commit its files as a folder of the app and name that folder: ./buildpack',
  )
}
