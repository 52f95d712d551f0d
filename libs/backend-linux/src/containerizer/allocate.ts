import { assertNever } from '@croft/kit'
import {
  AlreadyInUseError,
  InvalidSpecError,
  NotSupportedError,
  ServiceUnavailableError,
  type ContainerSpec,
  type GardenError,
  type LiveLimits,
  type MappedPort,
} from '@croft/garden-api'
import type { AddressAllocator, AddressClaim } from '../networker/allocator.js'
import type { Host } from './host.js'

/** What a container has before anything of it is made. */
export interface Allocation {
  /** The number its uid range, link and socket are named by. */
  slot: number
  address: string
  /** The block the address was asked in. */
  subnet: string | null
  ports: MappedPort[]
}

/**
 * Takes all that, or nothing.
 * @throws InvalidSpecError, AlreadyInUseError, ServiceUnavailableError
 */
export async function allocate(host: Host, spec: ContainerSpec): Promise<Allocation> {
  const addresses = addressesOf(host)
  const { address, subnet } = take(addresses, spec.network)
  const slot = await host.slots.takeSoon()
  try {
    if (slot === null) throw new ServiceUnavailableError('max containers reached')
    return { slot, address, subnet, ports: await host.networker.reservePorts(slot, spec.netIn ?? []) }
  } catch (error) {
    if (slot !== null) host.slots.free(slot)
    addresses.free(address)
    throw error
  }
}

/** What of a spec's network this host would refuse now. @throws as `allocate`, and NotSupportedError */
export async function checkNetwork(host: Host, spec: ContainerSpec): Promise<void> {
  await refuseBandwidth(host, spec.limits)
  if (spec.network !== undefined) {
    const addresses = addressesOf(host)
    addresses.free(take(addresses, spec.network).address)
  }
  await host.networker.checkPorts(spec.netIn ?? [])
}

/** @throws NotSupportedError for a bandwidth this host cannot hold */
export async function refuseBandwidth(host: Host, limits: LiveLimits | undefined): Promise<void> {
  if ((limits?.bandwidth?.rateBytesPerSecond ?? 0) > 0 && !(await host.networker.hasBandwidth()))
    throw new NotSupportedError('a bandwidth limit', 'Install iproute2 with tc, on a kernel that has the tbf queue')
}

function addressesOf(host: Host): AddressAllocator {
  if (host.addresses === undefined) throw new ServiceUnavailableError('this node has no address range yet')
  return host.addresses
}

function take(addresses: AddressAllocator, wanted: string | undefined): Extract<AddressClaim, { kind: 'taken' }> {
  const claim = addresses.take(wanted)
  if (claim.kind === 'taken') return claim
  throw refusal(claim, wanted ?? '')
}

function refusal(claim: Exclude<AddressClaim, { kind: 'taken' }>, wanted: string): GardenError {
  switch (claim.kind) {
    case 'not-an-address':
      return new InvalidSpecError(`not an IPv4 address or subnet: ${wanted}`, { network: 'a.b.c.d or a.b.c.d/n' })
    case 'outside':
      return new InvalidSpecError(`${wanted} is not in this node's range`, { network: "must lie in the node's range" })
    case 'reserved':
      return new InvalidSpecError(`${wanted} is the ${claim.as} address of ${claim.of}`, {
        network: 'is not free to use',
      })
    case 'in-use':
      return new AlreadyInUseError(`address ${wanted}`)
    case 'overlaps':
      return new AlreadyInUseError(`${wanted} overlaps ${claim.subnet}, which is`)
    case 'full':
      return new ServiceUnavailableError(`all addresses of ${claim.subnet ?? 'this node'} are taken`)
    default:
      return assertNever(claim)
  }
}
