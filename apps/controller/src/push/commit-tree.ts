import { git } from './git.js'

export const OBJECT_ID = /^[0-9a-f]{40,64}$/

/**
 * The tree of a commit, or of one folder of it (`web`, `apps/shop`); undefined when the repository does not have it. `env` names the
 * quarantine while the objects are there.
 */
export async function commitTree(
  repository: string,
  commit: string,
  folder: string | null,
  env: Record<string, string> = {},
): Promise<string | undefined> {
  if (!OBJECT_ID.test(commit)) return undefined
  const args =
    folder === null
      ? ['rev-parse', '--quiet', '--verify', '--end-of-options', `${commit}^{tree}`]
      : ['ls-tree', '-d', '-z', '--full-tree', commit, '--', folder]
  const out = await git(repository, args, { env }).catch(() => '')
  const tree = folder === null ? out.trim() : /^040000 tree ([0-9a-f]+)\t/.exec(out)?.[1]
  return tree !== undefined && OBJECT_ID.test(tree) ? tree : undefined
}
