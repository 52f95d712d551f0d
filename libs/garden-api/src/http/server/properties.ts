import { InvalidSpecError } from '../../errors.js'
import type { ContainerInfo } from '../../types.js'

/** Properties the server keeps with a container for itself; no client sees or sets them. */
const INTERNAL_PREFIX = 'croft.wire.'

export const internalKey = (name: string): string => `${INTERNAL_PREFIX}${name}`

/** @throws InvalidSpecError */
export function refuseInternal(keys: Iterable<string>): void {
  for (const key of keys)
    if (key.startsWith(INTERNAL_PREFIX))
      throw new InvalidSpecError(`properties: names that begin with ${INTERNAL_PREFIX} are the server's own`, {
        [`properties.${key}`]: 'is reserved',
      })
}

export function shownProperties(properties: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => !key.startsWith(INTERNAL_PREFIX)))
}

export const shownInfo = (info: ContainerInfo): ContainerInfo => ({
  ...info,
  properties: shownProperties(info.properties),
})
