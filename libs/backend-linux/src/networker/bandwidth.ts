import { messageOf, run } from '@croft/kit'
import type { Limits } from '@croft/garden-api'
import { shaperArgs } from './shaper.js'

const COMMAND_TIMEOUT_MS = 10_000

/** Whether this kernel and this host's tc can shape: tried on the loopback device of a network namespace that ends with the trial. */
export async function canShape(): Promise<boolean> {
  const trial = shaperArgs({ rateBytesPerSecond: 1_000_000, burstBytes: 32_768 })
  try {
    await run('unshare', ['-n', 'tc', 'qdisc', 'add', 'dev', 'lo', 'root', ...trial], { timeoutMs: COMMAND_TIMEOUT_MS })
    return true
  } catch {
    return false
  }
}

/**
 * Holds a container to a bandwidth in each direction, or to none: what goes to it is shaped on the host's end of its pair, what comes
 * from it on its own, which its root cannot change for want of NET_ADMIN.
 */
export async function shape(link: string, initPid: number, limit: Limits['bandwidth']): Promise<void> {
  const isLimited = limit !== undefined && limit.rateBytesPerSecond > 0
  await Promise.all(
    [
      { enter: [], device: link },
      { enter: ['nsenter', '-t', String(initPid), '-n'], device: 'eth0' },
    ].map(async ({ enter, device }) => {
      if (isLimited) await tc(enter, ['qdisc', 'replace', 'dev', device, 'root', ...shaperArgs(limit)])
      else await unshape(enter, device)
    }),
  )
}

async function unshape(enter: readonly string[], device: string): Promise<void> {
  try {
    await tc(enter, ['qdisc', 'del', 'dev', device, 'root'])
  } catch (error) {
    /* there is none to delete but the kernel's own */
    if (!/handle of zero|No such file|Invalid argument/.test(messageOf(error))) throw error
  }
}

async function tc(enter: readonly string[], args: readonly string[]): Promise<void> {
  const [command = 'tc', ...rest] = [...enter, 'tc', ...args]
  await run(command, rest, { timeoutMs: COMMAND_TIMEOUT_MS })
}
