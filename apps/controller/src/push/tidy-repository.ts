import { git, RELEASED_REFS } from './git.js'

/** How long objects that nothing refers to stay: many times longer than any push or build takes, as git's own approxidate. */
const UNUSED_FOR = '1.week.ago'
const TIMEOUT_MS = 30 * 60_000
const LOOK_TIMEOUT_MS = 60_000

const SETTINGS = [
  'gc.auto=2000', // loose objects
  'gc.autoPackLimit=10',
  'gc.autoDetach=false',
  'gc.cruftPacks=true', // unused objects that are young stay together, not a file each
  `gc.pruneExpire=${UNUSED_FOR}`,
]

/**
 * Has git pack a repository that has come to many files, and remove what nothing has referred to for a week: what refused pushes and
 * former folders left. Pushes go on meanwhile, and go first. `released` are the commits that releases came from: no branch may name
 * them any more, and they stay all the same.
 */
export async function tidyRepository(
  repository: string,
  released: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const look = { timeoutMs: LOOK_TIMEOUT_MS, signal, input: released.map((commit) => `${commit}\n`).join('') }
  // with --ignore-missing: of those that are there at all
  const unnamed = await git(repository, ['rev-list', '--ignore-missing', '--stdin', '--not', '--all'], look)
  const held = new Set(unnamed.split('\n'))
  const creations = released.filter((commit) => held.has(commit))
  if (creations.length > 0) {
    const input = creations.map((commit) => `update ${RELEASED_REFS}/${commit} ${commit}\n`).join('')
    await git(repository, ['update-ref', '--stdin'], { ...look, input })
  }
  const settings = SETTINGS.flatMap((setting) => ['-c', setting])
  const gently = { timeoutMs: TIMEOUT_MS, signal, isBackground: true }
  await git(repository, [...settings, 'gc', '--auto', '--quiet'], gently)
}
