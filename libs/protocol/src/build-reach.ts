import { z } from 'zod'

/** How the platform lets builds reach package registries; null: as the host does. The names are those of the platform's settings. */
export const buildReachSchema = z.object({
  /** URLs without user names or passwords. */
  npmRegistry: z.string().nullable(),
  rubygemsMirror: z.string().nullable(),
  pypiIndex: z.string().nullable(),
  packagistMirror: z.string().nullable(),
  /** For http and https alike, instead of the host's. */
  proxy: z.string().nullable(),
  /** Hosts that are reached without the proxy, separated by commas. */
  noProxy: z.string().nullable(),
  /** Certificates in PEM that are trusted besides the host's, of registries of images, too. */
  ca: z.string().nullable(),
  /** What else builds are let through to: see `parseEgress`. */
  egress: z.array(z.string()).default([]),
})
export type BuildReach = z.infer<typeof buildReachSchema>

/** Everything as the host has it. */
export const HOST_REACH: BuildReach = {
  npmRegistry: null,
  rubygemsMirror: null,
  pypiIndex: null,
  packagistMirror: null,
  proxy: null,
  noProxy: null,
  ca: null,
  egress: [],
}
