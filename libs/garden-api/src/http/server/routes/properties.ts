import { GardenError, InvalidSpecError } from '../../../errors.js'
import { decodeOrRefuse, object, text } from '../../codec/fields.js'
import type { Call } from '../call.js'
import { refuseInternal, shownProperties } from '../properties.js'
import type { Route } from '../route.js'

const PATH = '/containers/:handle/properties'

export const PROPERTY_ROUTES: readonly Route[] = [
  {
    name: 'Properties',
    method: 'GET',
    path: PATH,
    handle: async (call) => shownProperties(await (await call.container()).properties()),
  },
  {
    name: 'Property',
    method: 'GET',
    path: `${PATH}/:key`,
    handle: async (call) => {
      const properties = shownProperties(await (await call.container()).properties())
      const key = call.param('key')
      const value = Object.hasOwn(properties, key) ? properties[key] : undefined
      if (value === undefined) throw propertyNotFound(call.handle, key)
      return { value }
    },
  },
  {
    name: 'SetProperty',
    method: 'PUT',
    path: `${PATH}/:key`,
    handle: async (call) => {
      const container = await call.container()
      await container.setProperty(keyOf(call), await valueOf(call))
      return {}
    },
  },
  {
    name: 'RemoveProperty',
    method: 'DELETE',
    path: `${PATH}/:key`,
    handle: async (call) => {
      await (await call.container()).removeProperty(keyOf(call))
      return {}
    },
  },
]

function keyOf(call: Call): string {
  const key = call.param('key')
  refuseInternal([key])
  if (key.includes('\0'))
    throw new InvalidSpecError('a property name holds a NUL byte', { key: 'must not hold a NUL byte' })
  return key
}

async function valueOf(call: Call): Promise<string> {
  const fields = object({ value: text() })
  const decoded = decodeOrRefuse('property', (value, problems) => fields(value, '', problems), await call.json())
  return decoded.value ?? ''
}

function propertyNotFound(handle: string, key: string): GardenError {
  return new GardenError({ code: 'property-not-found', status: 404, title: `property does not exist: ${key}`, handle })
}
