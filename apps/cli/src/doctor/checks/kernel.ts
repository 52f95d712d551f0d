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

/** What this host's kernel says of itself. */
export interface KernelFacts {
  /** As `uname -r` prints it. */
  release: string
  /** /proc/filesystems */
  filesystems: string
  /** /proc/sys/user/max_user_namespaces; 0 when it has none. */
  maxUserNamespaces: number
  /** /proc/self/status */
  status: string
  /** Why namespaces could not be made, null when they could. */
  namespacesRefused: string | null
}

/** What is missing of user namespaces, overlay and seccomp in a kernel that maps ids. Pure. */
export function judgeKernel(facts: KernelFacts): Finding {
  const { release, filesystems, maxUserNamespaces, status, namespacesRefused } = facts
  const failed = (detail: string, remedy: string): Finding => ({ status: 'failed', detail, remedy })
  if (!isNewEnough(release)) {
    return failed(
      `kernel ${release} is too old, ${NEEDED.join('.')} is needed`,
      'apt-get install linux-image-amd64 and reboot',
    )
  }
  if (!/\boverlay$/m.test(filesystems)) return failed('the kernel has no overlay file system', 'modprobe overlay')
  if (maxUserNamespaces === 0) {
    return failed('user namespaces are switched off', 'sysctl -w user.max_user_namespaces=15000')
  }
  if (!status.includes('\nSeccomp:')) return failed('the kernel has no seccomp', "boot Debian's own kernel")
  if (namespacesRefused !== null) {
    return failed(
      `namespaces cannot be made here: ${namespacesRefused}`,
      'use a virtual machine or a host of its own; most containers, and a chroot, do not let Croft make its own',
    )
  }
  return { status: 'ok', detail: `Linux ${release}: overlay, user namespaces, seccomp` }
}

/** User namespaces, overlay and seccomp in a kernel that maps ids. */
export const kernel: Check = {
  name: 'kernel',
  phase: 'host',
  async run(): Promise<Finding> {
    const [filesystems, maxUserNamespaces, status, namespacesRefused] = await Promise.all([
      readFile('/proc/filesystems', 'utf8'),
      readFile('/proc/sys/user/max_user_namespaces', 'utf8').catch(() => '0'),
      readFile('/proc/self/status', 'utf8'),
      tryNamespaces(),
    ])
    return judgeKernel({
      release: release(),
      filesystems,
      maxUserNamespaces: Number(maxUserNamespaces),
      status,
      namespacesRefused,
    })
  },
}

async function tryNamespaces(): Promise<string | null> {
  try {
    await run('/usr/bin/unshare', ['--user', '--map-root-user', '--mount', '--net', '--pid', '--fork', 'true'], {
      timeoutMs: 10_000,
    })
    return null
  } catch (error) {
    if (error instanceof CommandFailed) return error.stderr.trim() || error.title
    throw error
  }
}
