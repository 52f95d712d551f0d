import { InvalidSpecError } from '../../../errors.js'
import type { EventPosition } from '../../../types.js'
import { eventToWire, parsePosition, positionText, positionToWire } from '../../codec/event.js'
import type { Call } from '../call.js'
import { streamLines, type StreamItem } from '../line-stream.js'
import type { Route } from '../route.js'

export const EVENT_ROUTES: readonly Route[] = [
  {
    name: 'EventPosition',
    method: 'GET',
    path: '/events/position',
    feature: 'events',
    handle: async ({ backend }) => positionToWire(await backend.eventPosition()),
  },
  {
    name: 'Events',
    method: 'GET',
    path: '/events',
    feature: 'events',
    handle: async (call) => {
      const after = positionOf(call) ?? (await call.backend.eventPosition())
      const handles = handlesOf(call)
      return await streamLines(call, (signal) => eventsAfter(call, after, handles, signal))
    },
  },
]

async function* eventsAfter(
  { backend }: Call,
  after: EventPosition,
  handles: ReadonlySet<string> | null,
  signal: AbortSignal,
): AsyncIterable<StreamItem> {
  for await (const event of backend.events(signal, after)) {
    if (handles !== null && !handles.has(event.handle)) continue
    const id = positionText({ bootId: after.bootId, version: event.version })
    yield { id, event: event.kind, json: eventToWire(event) }
  }
}

/** `boot` and `since`, or what a browser says when it comes back; null: from now on. @throws InvalidSpecError */
function positionOf({ query, req }: Call): EventPosition | null {
  const [boot, since] = [query.get('boot'), query.get('since')]
  const last = req.headers['last-event-id']
  if (boot === null && since === null) return typeof last === 'string' ? parsePosition(last) : null
  const position = parsePosition(`${boot ?? ''}/${since ?? ''}`)
  if (position !== null) return position
  throw new InvalidSpecError('a position is boot=ID&since=VERSION, as an answer or an event told it', {
    [boot === null || boot === '' ? 'boot' : 'since']: 'is missing or no position',
  })
}

/** `handles=a,b`; null: of all. */
function handlesOf({ query }: Call): ReadonlySet<string> | null {
  const text = query.get('handles')
  return text === null ? null : new Set(text.split(',').filter((handle) => handle !== ''))
}
