import { BUILD_NEEDS, type BuildNeed, type Buildpack, type PlanEntry } from '@croft/lifecycle'
import type { BaseImage } from '../image/base-image.js'
import type { BuildLog } from './build-log.js'
import type { BuildPorts } from './ports.js'
import { provideImage } from './provide-image.js'

/**
 * What the buildpacks of a group want besides the run image: `needs` of `[metadata.croft]` in their buildpack.toml, and, where it
 * depends on the app, `needs` in the metadata of what their `bin/detect` requires. One from elsewhere that says nothing of the kind gets
 * the build image, as the specification lets it expect. Pure.
 */
export function needsOf(group: readonly Buildpack[], entries: readonly PlanEntry[]): Set<BuildNeed> {
  const always = group.flatMap(
    ({ toml, origin }) => toml.metadata?.croft?.needs ?? (origin === undefined ? [] : (['compilers'] as const)),
  )
  const asked = entries.flatMap(({ requires }) => requires.flatMap(({ metadata }) => metadata?.['needs'] ?? []))
  return new Set([...always, ...BUILD_NEEDS.filter((need) => asked.includes(need))])
}

/** Provides what a build needs, and tells whoever waits what is being made. @throws StackFailed */
export async function provideNeeds(
  needs: ReadonlySet<BuildNeed>,
  base: BaseImage,
  { stacks, packageLists, clock }: Pick<BuildPorts, 'stacks' | 'packageLists' | 'clock'>,
  log: BuildLog,
  signal: AbortSignal,
): Promise<void> {
  if (needs.has('debs')) {
    const startedAt = clock.monotonic()
    const state = await packageLists.provide(base.stack, signal)
    if (state.kind === 'fetched') log.step("Fetching Debian's package lists", clock.monotonic() - startedAt)
    else if (state.kind === 'stale') {
      log.warning(`Debian's archive does not answer: its package lists are ${state.days} days old`)
    }
  }
  if (needs.has('compilers')) {
    const step = `Making the build image of ${base.stack} (compilers, headers): once on this host`
    await provideImage(step, (waiting) => stacks.compilers(base, waiting), { log, clock, signal })
  }
}
