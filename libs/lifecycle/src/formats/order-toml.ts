import { z } from 'zod'
import { LifecycleError } from '../errors.js'
import { execEnvSchema } from './exec-env.js'
import { readToml } from './toml.js'

const entrySchema = z.object({
  id: z.string(),
  version: z.string().optional(),
  optional: z.boolean().optional(),
  'exec-env': execEnvSchema.optional(),
})
export type OrderEntry = z.infer<typeof entrySchema>

export const orderSchema = z.array(z.object({ group: z.array(entrySchema) }))
/** The groups to try, best first. */
export type Order = z.infer<typeof orderSchema>

const orderTomlSchema = z.object({ order: orderSchema, 'order-extensions': z.array(z.unknown()).optional() })

/** @throws LifecycleError, also for an order with image extensions: they are not supported */
export function parseOrderToml(text: string, what = 'order.toml'): Order {
  const document = readToml(orderTomlSchema, text, what)
  if ((document['order-extensions'] ?? []).length > 0) refuseExtensions(what)
  return document.order
}

/** @throws LifecycleError */
export function refuseExtensions(what: string): never {
  const title = `${what} asks for image extensions, which this platform does not run`
  throw new LifecycleError('detect', title, 'use buildpacks, or a stack that holds the packages')
}
