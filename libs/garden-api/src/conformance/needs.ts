import type { Capabilities } from '../types.js'

/** What a spec can require of a backend: a capability it may lack, or one version of cgroups. */
export type Need = Exclude<keyof Capabilities, 'cgroupVersion'> | 'cgroupVersion 1' | 'cgroupVersion 2'

/** The needs a backend does not meet, in order. Pure. */
export function missingOf(capabilities: Capabilities, needs: readonly Need[]): Need[] {
  return needs.filter((need) => {
    if (need === 'cgroupVersion 1') return capabilities.cgroupVersion !== 1
    if (need === 'cgroupVersion 2') return capabilities.cgroupVersion !== 2
    return capabilities[need] === false || capabilities[need] === 'none'
  })
}
