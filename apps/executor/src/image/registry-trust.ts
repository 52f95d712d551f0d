import { readFile } from 'node:fs/promises'
import { messageOf, type Logger } from '@croft/kit'
import type { Certificates } from '@croft/oci'

/**
 * Who may have signed the certificate of the registry a node pulls from: those this host trusts, and those that the platform's settings
 * name. While the controller is away, what it said last holds.
 */
export function registryTrust(hostCa: string | null, settings: Certificates, logger: Logger): Certificates {
  let set = ''
  return async () => {
    try {
      set = await settings()
    } catch (error) {
      logger.warn('registry-certificates-not-asked', { why: messageOf(error) })
    }
    return `${hostCa === null ? '' : await readFile(hostCa, 'utf8')}\n${set}`
  }
}
