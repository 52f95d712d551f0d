import { infoToWire } from '../../codec/facts.js'
import { errorToWire } from '../../codec/error-body.js'
import type { ResultOf } from '../../../backend.js'
import { ContainerNotFoundError, InvalidSpecError } from '../../../errors.js'
import type { Call } from '../call.js'
import { metricsAnswer } from '../entitlement.js'
import { shownInfo } from '../properties.js'
import type { Route } from '../route.js'

export const BULK_ROUTES: readonly Route[] = [
  {
    name: 'BulkInfo',
    method: 'GET',
    path: '/containers/bulk_info',
    handle: async (call) => {
      const handles = handlesOf(call)
      const found = await call.backend.bulkInfo(handles)
      return entries(handles, found, 'Info', (info) => infoToWire(shownInfo(info)))
    },
  },
  {
    name: 'BulkMetrics',
    method: 'GET',
    path: '/containers/bulk_metrics',
    handle: async (call) => await metricsEntries(call, handlesOf(call)),
  },
  {
    name: 'Metrics',
    method: 'GET',
    path: '/containers/:handle/metrics',
    handle: async (call) => {
      const metrics = await (await call.container()).metrics()
      return await metricsAnswer(call, call.handle, metrics)
    },
  },
]

/** The metrics of each handle, or why there are none. */
export async function metricsEntries(call: Call, handles: readonly string[]): Promise<object> {
  const found = await call.backend.bulkMetrics(handles)
  const answers = new Map(
    await Promise.all(
      [...found].map(
        async ([handle, { value }]) =>
          [handle, value === undefined ? undefined : await metricsAnswer(call, handle, value)] as const,
      ),
    ),
  )
  return entries(handles, found, 'Metrics', (_metrics, handle) => answers.get(handle))
}

/** `handles=` is none; its absence is a mistake of the client's. @throws InvalidSpecError */
function handlesOf({ query }: Call): string[] {
  const text = query.get('handles')
  if (text === null)
    throw new InvalidSpecError('the parameter handles is missing: handles=a,b', { handles: 'is missing' })
  return text.split(',').filter((handle) => handle !== '')
}

function entries<T>(
  handles: readonly string[],
  found: ReadonlyMap<string, ResultOf<T>>,
  name: string,
  toWire: (value: T, handle: string) => unknown,
): object {
  return Object.fromEntries(
    handles.map((handle) => {
      const { value, error } = found.get(handle) ?? {}
      if (value !== undefined) return [handle, { [name]: toWire(value, handle), Err: null }]
      return [handle, { [name]: {}, Err: errorToWire(error ?? new ContainerNotFoundError(handle)).body }]
    }),
  )
}
