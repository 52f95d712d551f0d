import type { Digest } from '@croft/kit'

/** Which images of an app's repository stay. Pure. */

export interface RepositoryState {
  /** Every manifest of the repository: what it refers to, and how long it has been there, ms. */
  manifests: readonly { digest: Digest; ageMs: number; manifests: readonly Digest[]; subject: Digest | null }[]
  /** Images of releases that serve, roll, may be rolled back to or still run, of builds to go on from, and of tags. */
  roots: ReadonlySet<string>
  /** Younger ones stay: a build or a push may be about to refer to them, ms. */
  graceMs: number
}

/** The digests that stay: the roots and the young, what an index of them lists, and what is about one of them. */
export function manifestsToKeep({ manifests, roots, graceMs }: RepositoryState): Set<Digest> {
  const byDigest = new Map(manifests.map((manifest) => [manifest.digest, manifest]))
  const keep = new Set<Digest>()
  const visit = (digest: Digest): void => {
    const manifest = byDigest.get(digest)
    if (manifest === undefined || keep.has(digest)) return
    keep.add(digest)
    for (const listed of manifest.manifests) visit(listed)
    for (const other of manifests) if (other.subject === digest) visit(other.digest)
  }
  for (const { digest, ageMs } of manifests) if (roots.has(digest) || ageMs < graceMs) visit(digest)
  return keep
}
