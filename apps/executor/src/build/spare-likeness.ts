import { isDeepStrictEqual } from 'node:util'
import type { NetOutRule } from '@croft/garden-api'
import type { SiteOrigin } from './build-site.js'
import type { BuildContainerSpec } from './container-shape.js'

/** Whether a container made in advance is the one that a build would make. Pure. */

/** All that a container made for a build depends on. */
export interface Likeness {
  /** Whose build. */
  appId: string
  /** Its whole spec: image, limits, mounts, with the names and folders of the spare. */
  container: BuildContainerSpec
  /** What it was let through to once it stood. */
  netOut: readonly NetOutRule[]
  /** Of what its layers came back. */
  origin: SiteOrigin
}

/** Whether a build that wants `wanted` may take what was made as `spare`: only when no word of it is different. */
export function isLike(spare: Likeness, wanted: Likeness): boolean {
  return isDeepStrictEqual(spare, wanted)
}
