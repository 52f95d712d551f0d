import { isZero, type RefCommand } from './receive-head.js'
import type { Refusal } from './refusal.js'
import { named, shellWord } from './text.js'

/** What becomes of each ref of a push. */
export type RefVerdict =
  | { kind: 'deploy'; command: RefCommand }
  | { kind: 'refuse'; command: RefCommand; refusal: Refusal }

const DEPLOYED = /^refs\/heads\/(main|master)$/

/** The branch name a deployed ref has, or undefined. */
export function branchOf(ref: string): string | undefined {
  return DEPLOYED.exec(ref)?.[1]
}

/**
 * Decides each ref of a push by its name: `main` and `master` deploy (one of them in one push), everything else is refused
 * with the command that works. A push of several refs is judged ref by ref, so `--all`, `--mirror` and `--follow-tags` deploy
 * the branch and name the rest. Pure.
 */
export function judgeRefs(commands: readonly RefCommand[], appName: string): RefVerdict[] {
  const deploys = commands.filter((command) => branchOf(command.ref) !== undefined && !isZero(command.newValue))
  return commands.map((command) => {
    const refusal = refusalOf(command, deploys, appName)
    return refusal === undefined ? { kind: 'deploy', command } : { kind: 'refuse', command, refusal }
  })
}

function refusalOf(command: RefCommand, deploys: readonly RefCommand[], appName: string): Refusal | undefined {
  const branch = branchOf(command.ref)
  if (isZero(command.newValue)) return deletion(command.ref, appName)
  if (branch === undefined) return otherRef(command.ref)
  if (deploys.length === 1) return undefined
  return {
    reason: 'two-branches',
    cause: 'main and master came in one push, and only one of them can run',
    suggestion: `git push croft ${branch}`,
  }
}

function deletion(ref: string, appName: string): Refusal {
  return {
    reason: 'ref-deletion',
    cause: `${named(ref.replace(/^refs\/(heads|tags)\//, ''))} cannot be deleted: an app keeps what it runs`,
    suggestion: `croft apps:destroy ${appName} --confirm ${appName} removes the app`,
  }
}

function otherRef(ref: string): Refusal {
  const [, kind, name] = /^refs\/(heads|tags)\/(.+)$/s.exec(ref) ?? []
  if (name === undefined) {
    return {
      reason: 'ref-not-deployed',
      cause: `${named(ref)} is neither a branch nor a tag`,
      suggestion: 'git push croft HEAD:main',
    }
  }
  const source = kind === 'tags' ? tagSource(name) : shellWord(name, ':main')
  return {
    reason: 'ref-not-deployed',
    cause: `${kind === 'tags' ? 'tag' : 'branch'} ${named(name)} does not deploy: only main and master do`,
    suggestion: `git push croft ${source ?? 'HEAD:main'}`,
  }
}

/** A tag is no branch: its commit is what can be pushed. */
function tagSource(name: string): string | undefined {
  return shellWord(`${name}^{commit}:refs/heads/main`)
}
