import { z } from 'zod'
import { readToml } from './toml.js'

const entrySchema = z.object({
  id: z.string(),
  version: z.string().optional(),
  optional: z.boolean().optional(),
})
export type OrderEntry = z.infer<typeof entrySchema>

export const orderSchema = z.array(z.object({ group: z.array(entrySchema) }))
/** The groups to try, best first. */
export type Order = z.infer<typeof orderSchema>

const orderTomlSchema = z.object({ order: orderSchema })

export function parseOrderToml(text: string, what = 'order.toml'): Order {
  return readToml(orderTomlSchema, text, what).order
}
