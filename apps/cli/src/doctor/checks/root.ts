import type { Check } from '../check.js'

/** Containers, users, mounts and packages are root's business. */
export const root: Check = {
  name: 'root',
  phase: 'host',
  run: () =>
    Promise.resolve(
      process.getuid?.() === 0
        ? { status: 'ok', detail: 'running as root' }
        : { status: 'failed', detail: 'not running as root', remedy: 'sudo ./croft up' },
    ),
}
