import type { DesiredInstance, ServiceSpec } from '@croft/protocol'

/** An image that has just been made of an app, and which processes it has; null: those of before. */
export interface BuiltImage {
  appId: string
  image: string
  types: readonly string[] | null
}

export type ServiceItem = DesiredInstance & { spec: ServiceSpec }

/** Where people wait for it. */
const FIRST_TYPE = 'web'

/**
 * The instance that the node is likely to be asked for next: a present one of the app, with the image. A `web` goes before others, then
 * the lowest slot, as deployments begin with it. Null: none of the app runs here, or nothing the image has. Pure.
 */
export function likelyNext(built: BuiltImage, present: readonly DesiredInstance[]): ServiceItem | null {
  const own = present.flatMap(({ spec, ...item }) =>
    spec.kind === 'service' && item.appId === built.appId && item.intent === 'run' ? [{ ...item, spec }] : [],
  )
  const [first] = own
    .filter(({ type }) => built.types === null || built.types.includes(type))
    .toSorted((a, b) => Number(b.type === FIRST_TYPE) - Number(a.type === FIRST_TYPE) || a.slot - b.slot)
  return first === undefined ? null : { ...first, spec: { ...first.spec, image: built.image } }
}
