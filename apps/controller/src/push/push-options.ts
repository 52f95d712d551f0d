import type { Refusal } from './refusal.js'
import { named } from './text.js'

/** `git push -o …`, from a fixed list. */
export interface PushOptions {
  team?: string
  detach?: boolean
  rebuild?: boolean
  /** No option of git's: the name of the folder that came by `deploy --dockerfile`, whose Dockerfile builds. */
  folder?: string
}

const TEAM = /^[a-z][a-z0-9-]{0,38}[a-z0-9]$|^[a-z]$/

/** Reads the options of a push; one that is not on the list refuses it. Pure. */
export function parsePushOptions(
  given: readonly string[],
): { kind: 'ok'; options: PushOptions } | { kind: 'refused'; refusal: Refusal } {
  const options: PushOptions = {}
  for (const option of given) {
    const team = /^team=(.*)$/s.exec(option)?.[1]
    if (option === 'detach') options.detach = true
    else if (option === 'rebuild') options.rebuild = true
    else if (team !== undefined && TEAM.test(team)) options.team = team
    else {
      return {
        kind: 'refused',
        refusal: {
          reason: 'unknown-option',
          cause:
            team === undefined
              ? `push option "${named(option, 60)}" does not exist`
              : `"${named(team, 60)}" is not a team name`,
          suggestion: 'use -o team=TEAM, -o detach or -o rebuild',
        },
      }
    }
  }
  return { kind: 'ok', options }
}
