import { z } from 'zod'
import { orderSchema, type OrderEntry } from './order-toml.js'
import { readToml } from './toml.js'

const group = z.object({ buildpacks: orderSchema.element.shape.group.default([]) }).default({ buildpacks: [] })
const systemTomlSchema = z.object({ system: z.object({ pre: group, post: group }).optional() })

export interface System {
  pre: OrderEntry[]
  post: OrderEntry[]
}

/** `system.toml`: buildpacks that a builder puts before and behind every group. @throws LifecycleError */
export function parseSystemToml(text: string, what = 'system.toml'): System {
  const { system } = readToml(systemTomlSchema, text, what)
  return { pre: system?.pre.buildpacks ?? [], post: system?.post.buildpacks ?? [] }
}
