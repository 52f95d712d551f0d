import { z } from 'zod'
import { readToml } from './toml.js'

const buildpacks = z.object({ buildpacks: z.array(z.object({ id: z.string(), version: z.string() })).default([]) })
const systemTomlSchema = z.object({
  pre: buildpacks.default({ buildpacks: [] }),
  post: buildpacks.default({ buildpacks: [] }),
})
export interface System {
  pre: { id: string; version: string }[]
  post: { id: string; version: string }[]
}

/** `system.toml`: buildpacks that a platform puts before and behind every group. */
export function parseSystemToml(text: string, what = 'system.toml'): System {
  const { pre, post } = readToml(systemTomlSchema, text, what)
  return { pre: pre.buildpacks, post: post.buildpacks }
}
