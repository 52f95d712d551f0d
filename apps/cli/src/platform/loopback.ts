import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import type { LookupFunction } from 'node:net'

/**
 * A resolver that answers `localhost` and every `*.localhost` with loopback, as curl, git and browsers do and Node's does not;
 * other names go to the system. For the `lookup` option of `http.request` and of undici's `connect`.
 */
export const lookup: LookupFunction = (hostname, options, callback) => {
  if (hostname !== 'localhost' && !hostname.endsWith('.localhost')) {
    systemLookup(hostname, options as LookupOptions & { all: true }, callback as never)
    return
  }
  const address: LookupAddress = { address: '127.0.0.1', family: 4 }
  if (options.all === true) callback(null, [address])
  else callback(null, address.address, address.family)
}
