import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bareEnv, CroftError, start, systemClock } from '@croft/kit'
import { findLocalPlatform, type LocalPlatform, type SupervisorState } from '../platform/local-platform.js'
import { readLogTail } from './log-lines.js'
import { askHealth } from './platform-health.js'
import { platformNode } from './program-folders.js'
import { isAlive, processRef, type ProcessRef } from './process-ref.js'
import type { SupervisorConfig } from './supervisor-config.js'
import { writeFileWhole } from './write-file-whole.js'

const READY_TIMEOUT_MS = 90_000
const LOOK_MS = 20
/** A component that ended this often before the platform was ready will not come up by itself. */
const TOO_MANY_RESTARTS = 7

/** A component does not start; the platform is taken down again by whoever catches this. */
export class StartFailed extends CroftError {
  constructor(component: string, lastLine: string, logFile: string, elseTry = '') {
    super({
      code: 'start-failed',
      status: 500,
      title: `${component} does not start`,
      ...(lastLine !== '' && { detail: lastLine }),
      suggestion: `look at ${logFile}${elseTry}`,
    })
  }
}

/** What to do when it is a component's data that is damaged, and not its surroundings. */
const REMEDY_FOR_DATA: Partial<Record<string, (home: string) => string>> = {
  postgres: (home) => `; if its data is damaged, restore ${home} from a backup`,
  redis: (home) =>
    `; if its data is damaged, remove ${home}/redis/appendonlydir: all that matters in it is in PostgreSQL too`,
}

/** Starts the supervisor of a home in a session of its own and gives its process. */
export function startSupervisor(config: SupervisorConfig): ProcessRef {
  const file = join(config.run, 'supervisor-config.json')
  writeFileWhole(file, JSON.stringify(config))
  const log = openSync(join(config.home, 'log/supervisor.log'), 'a', 0o640)
  const child = start(
    join(platformNode(config.program), 'bin/node'),
    ['--max-semi-space-size=1', join(config.program, 'apps/cli/dist/supervisor.mjs'), file],
    { cwd: '/', detached: true, env: bareEnv({ HOME: '/root', NODE_ENV: 'production' }), stdio: ['ignore', log, log] },
  )
  closeSync(log)
  child.unref()
  const ref = child.pid === undefined ? undefined : processRef(child.pid)
  if (ref === undefined) throw new StartFailed('the supervisor', '', join(config.home, 'log/supervisor.log'))
  return ref
}

/**
 * Waits until the supervisor says that the platform is ready.
 * @throws StartFailed naming the component that keeps it from being so
 */
export async function untilReady(config: SupervisorConfig, supervisor: ProcessRef): Promise<LocalPlatform> {
  const end = systemClock.monotonic() + READY_TIMEOUT_MS
  for (;;) {
    const platform = await findLocalPlatform(config.home)
    const state = platform?.state.supervisor.pid === supervisor.pid ? platform.state : undefined
    if (platform !== undefined && state?.ready === true) return platform
    if (!isAlive(supervisor)) throw failureOf(config, 'supervisor')
    const failing = state?.components.find(({ restarts }) => restarts >= TOO_MANY_RESTARTS)
    if (failing !== undefined) throw failureOf(config, failing.name)
    if (systemClock.monotonic() > end) throw await lateness(config, state)
    await systemClock.sleep(LOOK_MS)
  }
}

/** Every process may run and the platform still not be ready: then it says itself what is missing. */
async function lateness(config: SupervisorConfig, state: SupervisorState | undefined): Promise<StartFailed> {
  const slow = state?.components.find((component) => component.state !== 'running')
  if (slow !== undefined) return failureOf(config, slow.name)
  const { missing } = await askHealth(config.settings)
  return new StartFailed('the platform', missing, join(config.home, 'log'))
}

function failureOf(config: SupervisorConfig, name: string): StartFailed {
  const file = join(config.home, 'log', `${name}.log`)
  const tail = readLogTail(readFileSync(file, 'utf8'))
  return new StartFailed(`the ${name}`, tail, file, REMEDY_FOR_DATA[name]?.(config.home))
}
