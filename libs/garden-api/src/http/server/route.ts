import type { Duplex } from 'node:stream'
import type { Feature } from '../features.js'
import type { ANSWERED } from './answer.js'
import type { Call } from './call.js'
import type { Method } from './router.js'

/** One row of the table of calls. */
export interface Route {
  /** Garden's name of the call, in the log and for whoever holds containers. */
  name: string
  method: Method
  path: string
  /** The extension it belongs to; absent for Garden's own calls. */
  feature?: Feature
  /**
   * The value becomes the JSON of the answer; ANSWERED when it wrote its own. A stream's handler ends when the stream does.
   * @throws GardenError, which becomes the answer
   */
  handle(call: Call): Promise<object | typeof ANSWERED>
  /** A WebSocket upgrade of the same path; the socket is the handler's, and open when the promise ends only by mistake. */
  upgrade?(call: Call, socket: Duplex, head: Buffer): Promise<void>
}
