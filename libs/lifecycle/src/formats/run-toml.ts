import { z } from 'zod'
import { runImagesOf } from './builder-image.js'
import { readToml } from './toml.js'

const runTomlSchema = z.object({
  images: z.array(z.object({ image: z.string(), mirrors: z.array(z.string()).default([]) })).default([]),
})

/** `run.toml` of a builder image: the references of its run image and that one's mirrors, best first. @throws LifecycleError */
export function parseRunToml(text: string, what = 'run.toml'): string[] {
  return runImagesOf(readToml(runTomlSchema, text, what).images)
}
