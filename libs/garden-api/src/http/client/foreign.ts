import type { Capabilities } from '../../types.js'
import { bool, decodeOrRefuse, integer, named, object, type Decoder } from '../codec/fields.js'

/**
 * What real Garden can do on an ordinary host; it cannot be asked. Where hosts differ this is the lesser: whoever needs more
 * finds out by the error of the call.
 */
export const FOREIGN_CAPABILITIES: Capabilities = {
  cgroupVersion: 1,
  hasIdmap: false,
  hasSwapLimit: true,
  diskQuota: 'prjquota',
  hasPrivileged: true,
  hasNetwork: true,
  hasNetIn: true,
  hasTty: true,
  hasFreezer: false,
  hasBandwidth: false,
  io: 'none',
  hasSidecars: true,
  hasLiveLimits: false,
  hasXattrs: true,
}

const NOTHING: Capabilities = {
  cgroupVersion: 1,
  hasIdmap: false,
  hasSwapLimit: false,
  diskQuota: 'none',
  hasPrivileged: false,
  hasNetwork: false,
  hasNetIn: false,
  hasTty: false,
  hasFreezer: false,
  hasBandwidth: false,
  io: 'none',
  hasSidecars: false,
  hasLiveLimits: false,
  hasXattrs: false,
}

const answers = object(
  Object.fromEntries(
    Object.entries(NOTHING).map(([name, none]) => [name, typeof none === 'boolean' ? bool : known(name)]),
  ),
)

function known(name: string): Decoder<unknown> {
  if (name === 'diskQuota') return named(['none', 'loop', 'btrfs', 'prjquota'])
  if (name === 'io') return named(['weight', 'throttle', 'none'])
  return integer(1, 2)
}

/** What an older server does not name it cannot do. @throws InvalidSpecError */
export function capabilitiesFromWire(json: unknown): Capabilities {
  const wire = decodeOrRefuse('capabilities', (value, problems) => answers(value, '', problems), json)
  return { ...NOTHING, ...wire }
}
