import type { BuildResult } from '@croft/protocol'

/** A build as its rig saw it. */
export interface Pushed {
  result: BuildResult
  log: string
  tookMs: number
}

export type Succeeded = Extract<BuildResult, { outcome: 'succeeded' }>
export type Failed = Extract<BuildResult, { outcome: 'failed' }>

/** The result of a build that had to succeed. */
export function succeeded({ result, log }: Pushed): Succeeded {
  if (result.outcome !== 'succeeded') throw new Error(`${result.reason}: ${result.message}\n${log}`)
  return result
}

/** The result of a build that had to fail. */
export function failed({ result, log }: Pushed): Failed {
  if (result.outcome !== 'failed') throw new Error(`the build succeeded\n${log}`)
  return result
}
