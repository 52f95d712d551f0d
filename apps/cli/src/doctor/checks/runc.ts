import { run } from '@croft/kit'
import type { Check, Finding } from '../check.js'

/** From here on runc carries the fixes for CVE-2025-31133, -52565 and -52881. */
const FIXED: readonly [number, number, number] = [1, 2, 8]

/** What is known of a runc version. Pure. */
export function judgeRunc(version: string): Finding {
  const have = version.split('.').map((part) => Number.parseInt(part, 10))
  const isFixed = FIXED.reduce((order, least, index) => (order === 0 ? (have[index] ?? 0) - least : order), 0) >= 0
  return isFixed
    ? { status: 'ok', detail: `runc ${version}` }
    : {
        status: 'mitigated',
        detail:
          `runc ${version} lacks the fixes for CVE-2025-31133, -52565 and -52881; Croft runs it once for each container, always in a ` +
          'user namespace without host root, on a root file system no other process can touch, and never with a terminal',
      }
}

/** The one tool with known weaknesses, and why our use excludes them. */
export const runc: Check = {
  name: 'runc',
  phase: 'tools',
  async run() {
    const { stdout } = await run('runc', ['--version'], { timeoutMs: 10_000 })
    return judgeRunc(/runc version (\d+\.\d+\.\d+)/.exec(stdout.toString())?.[1] ?? '0.0.0')
  },
}
