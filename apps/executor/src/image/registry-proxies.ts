import { messageOf, type Logger } from '@croft/kit'
import { proxySettings, type Proxies } from '@croft/oci'

type Set = Parameters<typeof proxySettings>[1]

/**
 * Through which proxies a node asks the registry it pulls from: as this host has them, unless the platform's settings say otherwise.
 * While the controller is away, what it said last holds.
 */
export function registryProxies(
  host: Readonly<Record<string, string>>,
  settings: () => Promise<Set>,
  logger: Logger,
): Proxies {
  let set: Set
  return async () => {
    try {
      set = await settings()
    } catch (error) {
      logger.warn('registry-proxy-not-asked', { why: messageOf(error) })
    }
    return proxySettings(host, set)
  }
}
