import { readFileSync } from 'node:fs'
import { errnoOf } from '@croft/kit'

const LOOPBACK = '0'.repeat(31) + '1'

/** Whether this host has the loopback address `::1`; without it HAProxy could not bind it. */
export function hasIpv6Loopback(): boolean {
  try {
    return readFileSync('/proc/net/if_inet6', 'utf8').includes(LOOPBACK)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}
