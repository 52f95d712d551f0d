import { CommandFailed, run } from '@croft/kit'
import type { Check, Finding } from '../check.js'

const PROBES: readonly { what: string; command: string; args: string[]; remedy: string }[] = [
  {
    what: 'veth pairs',
    command: 'ip',
    args: ['link', 'add', 'croft-a', 'type', 'veth', 'peer', 'name', 'croft-b'],
    remedy: 'modprobe veth',
  },
  {
    what: 'nftables',
    command: 'nft',
    args: ['add table inet croft_probe; add chain inet croft_probe nat { type nat hook postrouting priority 100; }'],
    remedy: 'modprobe nf_tables nft_chain_nat',
  },
]

/** Container networks can be made: tried in a network namespace of its own, which vanishes. */
export const network: Check = {
  name: 'network',
  phase: 'tools',
  async run(): Promise<Finding> {
    for (const { what, command, args, remedy } of PROBES) {
      try {
        await run('/usr/bin/unshare', ['--net', '--', command, ...args], { timeoutMs: 10_000 })
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error
        return {
          status: 'failed',
          detail: `${what} cannot be made here: ${error.stderr.trim().split('\n')[0] ?? ''}`,
          remedy,
        }
      }
    }
    return { status: 'ok', detail: 'veth pairs, nftables with NAT' }
  },
}
