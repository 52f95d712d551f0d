import type { RouterConfig } from './config.js'
import { Router, type RouterPorts } from './router.js'

export { parseConfig, type RouterConfig } from './config.js'
export type { Router, RouterPorts } from './router.js'

/** The router's control plane; `start()` it, and `stop()` it when done. */
export function createRouter(config: RouterConfig, ports: RouterPorts): Router {
  return new Router(config, ports)
}
