import { findLocalPlatform, type SupervisorState } from '../platform/local-platform.js'
import { version } from '../version.js'
import { COMPONENTS, type ComponentName } from './component.js'
import { askHealth } from './platform-health.js'
import { isAlive, rssBytes } from './process-ref.js'
import { registryProblem } from './registry.js'
import { addressOf, type RegistrySetting } from './settings.js'

/** A registry that does not answer keeps `status` no longer than this, ms. */
const STATUS_TIMEOUT_MS = 3_000

/** `croft status --json`; fields are only ever added. An address is null while nothing listens. */
export interface StatusReport {
  ready: boolean
  version: string
  home: string
  addresses: Record<'http' | 'https' | 'ssh' | 'api' | 'git', string | null>
  components: ComponentReport[]
  /** Address of the container API of another process that is used; null: containers are our own. */
  garden: string | null
  /** The registry images are published in, and why it cannot be used at this moment; null: the platform keeps them itself. */
  registry: { url: string; problem: string | null } | null
}

export interface ComponentReport {
  name: ComponentName
  pid: number | null
  state: 'starting' | 'running' | 'backoff' | 'stopped' | 'external'
  rssBytes: number | null
  restarts: number
}

/** What a home's platform is doing at this moment, judged by its processes and by one request through its router. */
export async function statusOf(home: string): Promise<StatusReport> {
  const platform = await findLocalPlatform(home)
  const state = platform?.state
  const components = await Promise.all(COMPONENTS.map((name) => reportOf(name, state)))
  const isServing = components.some((component) => component.name === 'haproxy' && component.state === 'running')
  const isSupervised = state !== undefined && isAlive(state.supervisor)
  const isRunning = components.every((component) => component.state === 'running' || component.state === 'external')
  const croft = state === undefined ? null : addressOf(state.settings.publicUrl, 'croft')
  return {
    ready: isSupervised && isRunning && (await askHealth(state.settings)).isReady,
    version: state?.version ?? version,
    home,
    addresses: {
      http: isServing ? (state?.settings.publicUrl ?? null) : null,
      https: null,
      ssh: null,
      api: isServing && croft !== null ? `${croft}/api/v1` : null,
      git: isServing ? croft : null,
    },
    components,
    garden: state?.settings.garden?.address ?? null,
    registry: await registryOf(home, state?.settings.registry ?? null),
  }
}

async function registryOf(home: string, setting: RegistrySetting | null): Promise<StatusReport['registry']> {
  if (setting === null) return null
  return { url: setting.url, problem: await registryProblem(setting, home, STATUS_TIMEOUT_MS) }
}

async function reportOf(name: ComponentName, state: SupervisorState | undefined): Promise<ComponentReport> {
  const component = state?.components.find((one) => one.name === name)
  if (component === undefined) {
    // a database or queue given by URL is somebody else's process
    return { name, pid: null, state: state === undefined ? 'stopped' : 'external', rssBytes: null, restarts: 0 }
  }
  const { pid, startTime, restarts } = component
  if (pid === null || startTime === null || !isAlive({ pid, startTime })) {
    return {
      name,
      pid: null,
      state: component.state === 'running' ? 'stopped' : component.state,
      rssBytes: null,
      restarts,
    }
  }
  return { name, pid, state: component.state, rssBytes: await rssBytes(pid), restarts }
}
