import type { StackId } from '@croft/stacks'

/** Per-app settings (`apps:set`); an absent key has the platform's default. */
export interface AppSettings {
  /** Boot time-out, ms; default 60,000. */
  bootTimeoutMs?: number
  /** Between SIGTERM and SIGKILL, ms; default 30,000. */
  graceMs?: number
  /** How long in-flight requests may go on after an instance left the route table, ms; default 30,000. */
  drainMs?: number
  /** `ps:stop`: nothing runs until `ps:start`. */
  isStopped?: boolean
  /** An image pushed to the tag `latest` is deployed; default false. */
  deployOnPush?: boolean
  /** Stack the next build uses; by default what the app asks for decides, else `debian-12`. */
  stack?: StackId
  /** `builds:cache:clear`: what builds before this moment kept is not used; ISO 8601. */
  cacheClearedAt?: string
  /** What builds the app: `dockerfile`, `buildpacks` or the reference of a builder image; by default its files decide. */
  builder?: string
  /** Buildpacks of the next builds, as people name them; before what the source says. */
  buildpacks?: string[]
  /** The folder of the repository that is the app, e.g. `apps/web`; by default all of it. */
  sourceDir?: string
  /** When `builder` or `buildpacks` last changed, ISO 8601: an image that was built before is not used for another push. */
  buildpacksChangedAt?: string
}
