import { decodeContainerSpec } from '../../codec/container-spec.js'
import { bool, decodeOrRefuse, list, nanoseconds, object, text, toNanoseconds } from '../../codec/fields.js'
import { infoToWire } from '../../codec/facts.js'
import type { Call } from '../call.js'
import { createOnce } from '../idempotency.js'
import { refuseInternal, shownInfo } from '../properties.js'
import type { Route } from '../route.js'

export const CONTAINER_ROUTES: readonly Route[] = [
  {
    name: 'List',
    method: 'GET',
    path: '/containers',
    handle: async ({ backend, query }) => {
      const found = await backend.containers(filterOf(query))
      return { Handles: found.map((container) => container.handle) }
    },
  },
  {
    name: 'Create',
    method: 'POST',
    path: '/containers',
    handle: async (call) => {
      const spec = decodeContainerSpec(await call.json())
      refuseInternal(Object.keys(spec.properties ?? {}))
      if (spec.handle !== undefined) call.hold(spec.handle)
      const handle = await createOnce(call, spec)
      if (spec.handle === undefined) call.hold(handle)
      return { Handle: handle }
    },
  },
  {
    name: 'Check',
    method: 'POST',
    path: '/containers/check',
    feature: 'check',
    handle: async (call) => {
      const spec = decodeContainerSpec(await call.json())
      refuseInternal(Object.keys(spec.properties ?? {}))
      await call.backend.check(spec)
      return {}
    },
  },
  {
    name: 'Lookup',
    method: 'GET',
    path: '/containers/:handle',
    feature: 'container',
    handle: async (call) => {
      const container = await call.container()
      if (call.req.method === 'HEAD') return {}
      return { Handle: container.handle, Info: infoToWire(shownInfo(await container.info())) }
    },
  },
  {
    name: 'Destroy',
    method: 'DELETE',
    path: '/containers/:handle',
    handle: async (call) => {
      await call.backend.destroy(call.handle, { ifExists: mayBeMissing(call) })
      return {}
    },
  },
  {
    name: 'Stop',
    method: 'PUT',
    path: '/containers/:handle/stop',
    handle: async (call) => {
      const container = await call.container()
      const fields = object({ kill: bool })
      const asked = decodeOrRefuse('stop', (value, problems) => fields(value, '', problems), await call.json())
      await container.stop({ kill: asked.kill ?? false })
      return {}
    },
  },
  {
    name: 'Info',
    method: 'GET',
    path: '/containers/:handle/info',
    handle: async (call) => infoToWire(shownInfo(await (await call.container()).info())),
  },
  {
    name: 'SetGraceTime',
    method: 'PUT',
    path: '/containers/:handle/grace_time',
    handle: async (call) => {
      const container = await call.container()
      const decode = async (): Promise<number> =>
        decodeOrRefuse('grace time', (value, problems) => nanoseconds(value, '', problems), await call.json())
      await container.setGraceTime(await decode())
      return {}
    },
  },
  {
    name: 'GraceTime',
    method: 'GET',
    path: '/containers/:handle/grace_time',
    feature: 'grace-time',
    handle: async (call) => ({ grace_time: toNanoseconds(await (await call.container()).graceTimeMs()) }),
  },
  {
    name: 'Pause',
    method: 'PUT',
    path: '/containers/pause',
    feature: 'pause',
    handle: async (call) => {
      await call.backend.pause(await handlesOf(call))
      return {}
    },
  },
  {
    name: 'Resume',
    method: 'PUT',
    path: '/containers/resume',
    feature: 'pause',
    handle: async (call) => {
      await call.backend.resume(await handlesOf(call))
      return {}
    },
  },
]

/** The first value of a key counts. Containers half made are never listed, so `garden.state` filters nothing out. */
function filterOf(query: URLSearchParams): Record<string, string> {
  refuseInternal(query.keys())
  const wanted = new Map<string, string>()
  for (const [key, value] of query) if (!wanted.has(key)) wanted.set(key, value)
  if (['all', 'created'].includes(wanted.get('garden.state') ?? '')) wanted.delete('garden.state')
  return Object.fromEntries(wanted)
}

function mayBeMissing({ query, req }: Call): boolean {
  return query.get('ignore_missing') === 'true' || req.headers['if-exists'] === 'true'
}

async function handlesOf(call: Call): Promise<string[]> {
  const fields = object({ handles: list(text()) })
  return decodeOrRefuse(
    'handles',
    (value, problems) => {
      const { handles } = fields(value, '', problems) ?? {}
      if (handles === undefined && problems.size === 0) problems.set('handles', 'is missing')
      for (const handle of handles ?? []) call.hold(handle)
      return handles
    },
    await call.json(),
  )
}
