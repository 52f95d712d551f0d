/**
 * Named points at which a test makes a process die: `CROFT_FAILPOINT=push-after-deployed:1` kills the process with SIGKILL
 * the first time it passes that point. Without the variable a point costs one comparison.
 */
const [wanted, count] = (process.env['CROFT_FAILPOINT'] ?? '').split(':')
let left = Number(count ?? 1)

/** Passes the named point, or dies there when the environment says so. */
export function failpoint(name: string): void {
  if (wanted !== name) return
  left -= 1
  if (left <= 0) process.kill(process.pid, 'SIGKILL')
}
