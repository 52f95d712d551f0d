import { readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { CommandFailed, run } from '@croft/kit'
import type { Check, Finding } from '../check.js'

/** Overlay over id-mapped layers came with 5.19. */
const NEEDED: readonly [number, number] = [5, 19]

/** Whether a kernel release such as `6.1.0-18-amd64` is at least the needed one. Pure. */
export function isNewEnough(text: string, [major, minor]: readonly [number, number] = NEEDED): boolean {
  const [haveMajor = 0, haveMinor = 0] = text.split('.').map((part) => Number.parseInt(part, 10))
  return haveMajor > major || (haveMajor === major && haveMinor >= minor)
}

/** User namespaces, overlay and seccomp in a kernel that maps ids. */
export const kernel: Check = {
  name: 'kernel',
  phase: 'host',
  async run(): Promise<Finding> {
    const version = release()
    if (!isNewEnough(version)) {
      return {
        status: 'failed',
        detail: `kernel ${version} is too old, ${NEEDED.join('.')} is needed`,
        remedy: 'apt-get install linux-image-amd64 and reboot',
      }
    }
    if (!/\boverlay$/m.test(await readFile('/proc/filesystems', 'utf8'))) {
      return { status: 'failed', detail: 'the kernel has no overlay file system', remedy: 'modprobe overlay' }
    }
    if (Number(await readFile('/proc/sys/user/max_user_namespaces', 'utf8').catch(() => '0')) === 0) {
      return {
        status: 'failed',
        detail: 'user namespaces are switched off',
        remedy: 'sysctl -w user.max_user_namespaces=15000',
      }
    }
    if (!(await readFile('/proc/self/status', 'utf8')).includes('\nSeccomp:')) {
      return { status: 'failed', detail: 'the kernel has no seccomp', remedy: "boot Debian's own kernel" }
    }
    try {
      await run('/usr/bin/unshare', ['--user', '--map-root-user', '--mount', '--net', '--pid', '--fork', 'true'], {
        timeoutMs: 10_000,
      })
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error
      return {
        status: 'failed',
        detail: `namespaces cannot be made here: ${error.stderr.trim()}`,
        remedy: 'in a virtual machine this works; in most containers it does not',
      }
    }
    return { status: 'ok', detail: `Linux ${version}: overlay, user namespaces, seccomp` }
  },
}
