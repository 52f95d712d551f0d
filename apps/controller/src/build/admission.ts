/** Whether a build finds the memory its limit names. Pure. */

/** A node as far as a build's memory goes. */
export interface BuilderNode {
  name: string
  /** All it has. */
  totalBytes: number
  /** What its kernel could give to somebody now; null when it did not say. */
  availableBytes: number | null
  /** The builds on it: how much each may use, and how much it does. */
  builds: readonly { limitBytes: number; usedBytes: number }[]
}

export type Admission =
  | { kind: 'room' }
  /** `why` follows `Waiting for`. */
  | { kind: 'waits'; why: string }
  | { kind: 'never'; message: string; suggestion: string }

/** How long a build waits for memory: what has not become free by then does not. */
export const MAX_MEMORY_WAIT_MS = 15 * 60 * 1_000

/** What a build may use where nothing else is set. */
const DEFAULT_BYTES = 2 * 1024 ** 3
const MIB = 1024 ** 2

/** What a build may use: what is set, else 2 GiB, but no more than half of the largest node, so that a small one builds too. */
export function buildMemoryBytes(setMib: number | null, nodes: readonly Pick<BuilderNode, 'totalBytes'>[]): number {
  if (setMib !== null) return setMib * MIB
  if (nodes.length === 0) return DEFAULT_BYTES
  const largest = Math.max(...nodes.map(({ totalBytes }) => totalBytes))
  return Math.min(DEFAULT_BYTES, Math.floor(largest / 2 / MIB) * MIB)
}

/**
 * What a node has left when its builds took what they may. Of apps only what they use counts: most never come near their limits, and a
 * node whose limits add up to its memory, which placing allows, could else not build a correction for any of them.
 */
export function freeBytes({ totalBytes, availableBytes, builds }: BuilderNode): number {
  const used = builds.reduce((sum, one) => sum + one.usedBytes, 0)
  const unclaimed = builds.reduce((sum, one) => sum + Math.max(0, one.limitBytes - one.usedBytes), 0)
  return Math.max(0, (availableBytes ?? totalBytes - used) - unclaimed)
}

/** Decides for the next build. Without a node there is nothing to wait for here: placing says that one is missing. */
export function admit(needBytes: number, nodes: readonly BuilderNode[]): Admission {
  if (nodes.length === 0) return { kind: 'room' }
  const by = (of: (node: BuilderNode) => number): BuilderNode =>
    nodes.toSorted((a, b) => of(b) - of(a) || (a.name < b.name ? -1 : 1))[0] as BuilderNode
  const freest = by(freeBytes)
  if (freeBytes(freest) >= needBytes) return { kind: 'room' }
  const largest = by((node) => node.totalBytes)
  if (largest.totalBytes < needBytes) {
    return {
      kind: 'never',
      message: `a build may use ${gib(needBytes)} of memory, and no node has as much (${largest.name}, the largest: ${gib(largest.totalBytes)})`,
      suggestion: 'let builds use less: croft settings:set build-memory=MIB',
    }
  }
  return { kind: 'waits', why: `${gib(needBytes)} of memory: ${freest.name} has ${gib(freeBytes(freest))} free` }
}

/** Why a build that waited for memory as long as it may is given up. */
export function waitedTooLong(why: string): { message: string; suggestion: string } {
  return {
    message: `the build waited ${MAX_MEMORY_WAIT_MS / 60_000} minutes for ${why}`,
    suggestion: 'scale apps down, add memory, or let builds use less: croft settings:set build-memory=MIB',
  }
}

/** In GiB with one digit, rounded down, so that what is said to be free is. */
function gib(bytes: number): string {
  return `${Math.floor((bytes / 1024 ** 3) * 10) / 10} GiB`
}
