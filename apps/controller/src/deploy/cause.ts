import { assertNever } from '@croft/kit'
import type { InstanceReason } from '@croft/protocol'
import type { Failure } from './strategy.js'

/** Why a deployment failed, in the words of the product. Pure. */

/** Lines of the app's own output shown after a crash at boot. */
const MAX_LINES = 20

export interface Explanation {
  /** One line: what happened and to which instance. */
  cause: string
  /** One line: what to do. */
  suggestion: string
  /** The app's last output, when it explains something. */
  lastLines: string[]
}

export interface ExplainContext {
  appName: string
  version: number
  port: number
  bootTimeoutMs: number
}

/** The text for a failure. */
export function explain(failure: Failure, context: ExplainContext): Explanation {
  const who = `${failure.instance} of v${context.version}`
  switch (failure.kind) {
    case 'not-placed':
      return {
        cause: `${who} found no node: ${failure.message ?? 'no node is ready'}`,
        suggestion: 'scale something down, or ask whoever runs this platform for another node',
        lastLines: [],
      }
    case 'not-ready':
    case 'boot-crash':
      return { ...ofReason(failure.reason, failure, who, context), lastLines: failure.lastLines.slice(-MAX_LINES) }
  }
}

function ofReason(
  reason: InstanceReason | null,
  failure: Failure,
  who: string,
  context: ExplainContext,
): Omit<Explanation, 'lastLines'> {
  const logs = `croft logs -a ${context.appName} --ps ${failure.instance}`
  const seconds = Math.round(context.bootTimeoutMs / 1000)
  const said = failure.message === null ? '' : `: ${failure.message}`
  switch (reason) {
    case 'crashed':
      return {
        cause: `${who} crashed at boot${said}`,
        suggestion: `read its last lines${failure.lastLines.length > 0 ? ' above' : ` (${logs})`}, fix the app and push again`,
      }
    case 'command-not-found':
      return {
        cause: `the command of ${who} does not exist${said}`,
        suggestion: 'check the command in the Procfile (or the start script) and push again',
      }
    case 'out-of-memory':
      return {
        cause: `${who} was killed at boot: it used more memory than its limit${said}`,
        suggestion: 'make the app need less memory while it starts and push again',
      }
    case 'boot-timeout':
      return {
        cause: `${who} was not ready after ${seconds} s${said}`,
        suggestion: `make it start faster, or give it more time: croft apps:set ${context.appName} boot-timeout=${seconds * 2}`,
      }
    case 'port-closed':
      return {
        cause: `${who} runs but nothing listens on port ${context.port} after ${seconds} s${said}`,
        suggestion: `listen on the port in the environment variable PORT (${context.port}) on 0.0.0.0`,
      }
    case 'port-on-loopback':
      return {
        cause: `${who} listens on port ${context.port} only on 127.0.0.1 inside its container${said}`,
        suggestion: 'listen on 0.0.0.0 (all addresses) instead of 127.0.0.1 or localhost',
      }
    case 'port-wrong':
      return {
        cause: `${who} listens, but not on port ${context.port}${said}`,
        suggestion: `listen on the port in the environment variable PORT (${context.port})`,
      }
    case 'check-failed':
      return {
        cause: `${who} did not pass its health check within ${seconds} s${said}`,
        suggestion: 'make the path of the check in app.json answer 200 to 399, or change the check',
      }
    case 'image':
      return {
        cause: `the image of ${who} could not be fetched${said}`,
        suggestion: 'push again; if it happens again, whoever runs this platform finds why in the log of the executor',
      }
    case 'create-failed':
      return {
        cause: `the container of ${who} could not be made${said}`,
        suggestion: 'push again; if it happens again, whoever runs this platform finds why in the log of the executor',
      }
    case 'canceled':
    case null:
      return {
        cause: `${who} did not become ready${said}`,
        suggestion: `look at croft ps -a ${context.appName} and ${logs}`,
      }
    default:
      return assertNever(reason)
  }
}
