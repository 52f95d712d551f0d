/** The stacks: what each is made from, which runtimes it has, and until when it gets security fixes. Pure. */

export type StackId = 'debian-11' | 'debian-12' | 'debian-13'
export type Runtime = 'php' | 'ruby' | 'python'

export interface Stack {
  id: StackId
  /** The name of the Debian release in an archive. */
  suite: string
  /** `Debian 12`. */
  name: string
  /** The last day of Debian's long term support, `YYYY-MM-DD`. */
  endOfSupport: string
  /** The release line of each runtime, `major.minor`; a distribution has one of each. */
  runtimes: Record<Runtime, string>
}

/** Oldest first. */
export const STACKS: readonly Stack[] = [
  {
    id: 'debian-11',
    suite: 'bullseye',
    name: 'Debian 11',
    endOfSupport: '2026-08-31',
    runtimes: { php: '7.4', ruby: '2.7', python: '3.9' },
  },
  {
    id: 'debian-12',
    suite: 'bookworm',
    name: 'Debian 12',
    endOfSupport: '2028-06-30',
    runtimes: { php: '8.2', ruby: '3.1', python: '3.11' },
  },
  {
    id: 'debian-13',
    suite: 'trixie',
    name: 'Debian 13',
    endOfSupport: '2030-06-30',
    runtimes: { php: '8.4', ruby: '3.3', python: '3.13' },
  },
]

export const DEFAULT_STACK: StackId = 'debian-12'

export const RUNTIME_NAMES: Record<Runtime, string> = { php: 'PHP', ruby: 'Ruby', python: 'Python' }

/** The last day on which the makers of a release line fix its security faults; a distribution may do so longer. */
export const UPSTREAM_ENDS: Record<Runtime, Record<string, string>> = {
  php: { '7.4': '2022-11-28', '8.2': '2026-12-31', '8.4': '2028-12-31' },
  ruby: { '2.7': '2023-03-31', '3.1': '2025-03-26', '3.3': '2027-03-31' },
  python: { '3.9': '2025-10-31', '3.11': '2027-10-31', '3.13': '2029-10-31' },
}

/** The stack of that id, or undefined. */
export function stackOf(id: string): Stack | undefined {
  return STACKS.find((stack) => stack.id === id)
}
