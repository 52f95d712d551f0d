import { ignoredOf, type WishFiles } from '../build/build-wishes.js'
import { appRuntime, type AppRuntime } from '@croft/stacks'
import type { AppManifest } from './app-manifest.js'
import { checkFiles } from './check-files.js'
import { commitTree, OBJECT_ID } from './commit-tree.js'
import type { IsIgnored } from './ignore-file.js'
import { ObjectReader, SizeReader } from './object-reader.js'
import { PushRefused } from './refusal.js'
import { named } from './text.js'
import type { TreeEntry } from './tree-caps.js'
import { walkSource, type Walked } from './walk-source.js'

/** What the platform needs to know of a commit before it builds it. */
export interface CheckedSource {
  manifest: AppManifest
  /** What is built: the tree of the commit, or of the app's folder in it. */
  tree: string
  /** By which the app tells how it is built. */
  wishFiles: WishFiles
  /** What of it comes with the stack; null when nothing does. */
  runtime: AppRuntime | null
}

/** Platform files larger than this are not read. */
const MAX_FILE_BYTES = 1024 * 1024
const MAX_NAMED = 5
/** Pointers of Git LFS are around 130 bytes. */
const LFS_POINTER_BYTES = { min: 80, max: 1_024 }
const LFS_POINTER = 'version https://git-lfs.github.com/spec/v1\n'
const MAX_LFS_CANDIDATES = 20_000

/**
 * Walks the tree of a commit, or of `folder` in it, under caps and reads the platform's files from git objects, never from a
 * checkout. `env` names the quarantine while the objects are there.
 * @throws PushRefused
 */
export async function checkSource(
  repository: string,
  commit: string,
  folder: string | null,
  env: Record<string, string> = {},
): Promise<CheckedSource> {
  // Each takes as long to start as to answer: all are started at once, and what they say is waited for in turn.
  const objects = new ObjectReader(repository, env)
  const sizes = new SizeReader(repository, env)
  try {
    const name = await treeName(repository, commit, folder, env)
    const walked = await walkSource(repository, name, env)
    const tree = await measure(sizes, walked, name)
    if (walked.blobs.size === 0) {
      throw new PushRefused({
        reason: 'empty',
        cause: 'the commit holds no files',
        suggestion: 'git add . && git commit, then push again',
      })
    }
    const files = await readFiles(objects, walked.files)
    const manifest = checkFiles(files)
    const isIgnored = ignoredOf(files)
    refuseSubmodules(walked.submodules, isIgnored)
    await refuseLfsPointers(objects, walked, files.get('.gitattributes') ?? '', isIgnored)
    const runtime = appRuntime(walked.marks, await readFiles(objects, readable(walked)))
    return { manifest, tree, wishFiles: files, runtime }
  } finally {
    objects.close()
    sizes.close()
  }
}

/** What git calls the tree that is built: of a whole commit it finds it by itself. @throws PushRefused when the folder is not there */
async function treeName(
  repository: string,
  commit: string,
  folder: string | null,
  env: Record<string, string>,
): Promise<string> {
  if (folder === null && OBJECT_ID.test(commit)) return `${commit}^{tree}`
  const tree = await commitTree(repository, commit, folder, env)
  if (tree !== undefined) return tree
  if (folder === null) throw new Error(`commit ${commit} has no tree`)
  const name = named(folder, 100)
  throw new PushRefused({
    reason: 'source-dir',
    cause: `the commit has no folder ${name}/, which the app's setting source-dir names`,
    suggestion: `commit ${name}/, or go back to the whole repository with croft apps:set APP source-dir=`,
  })
}

/** Asks for the size of each blob once, and for the id of the tree. @throws PushRefused */
async function measure(sizes: SizeReader, walked: Walked, name: string): Promise<string> {
  let tree = ''
  await sizes.read([{ objectId: name }, ...walked.blobs.values()], (object, bytes, objectId) => {
    if (!('path' in object)) return void (tree = objectId)
    object.bytes = bytes
    const refusal = walked.caps.addSize(object.path, bytes, object.times)
    if (refusal !== undefined) throw new PushRefused(refusal)
  })
  for (const [path, { objectId }] of walked.files) {
    if ((walked.blobs.get(objectId)?.bytes ?? 0) <= MAX_FILE_BYTES) continue
    throw new PushRefused({
      reason: 'platform-file',
      cause: `${path} is larger than 1 MiB`,
      suggestion: `make ${path} smaller and push again`,
    })
  }
  return tree
}

/** A lock file larger than anybody reads says nothing about the version: the build will. */
function readable({ versionFiles, blobs }: Walked): Map<string, TreeEntry> {
  return new Map([...versionFiles].filter(([, { objectId }]) => (blobs.get(objectId)?.bytes ?? 0) <= MAX_FILE_BYTES))
}

async function readFiles(objects: ObjectReader, entries: ReadonlyMap<string, TreeEntry>): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  const wanted = [...entries].map(([path, entry]) => ({ path, objectId: entry.objectId }))
  await objects.read(wanted, (file, bytes) => files.set(file.path, bytes.toString('utf8')))
  return files
}

function refuseSubmodules(paths: readonly string[], isIgnored: IsIgnored): void {
  const submodules = paths.filter((path) => !isIgnored(path, true))
  if (submodules.length === 0) return
  const first = named(submodules[0] ?? '', 60)
  throw new PushRefused({
    reason: 'submodules',
    cause: `submodules are not fetched: ${list(submodules)}`,
    suggestion: `git rm --cached ${first} and commit its files instead, or name it in .croftignore`,
  })
}

async function refuseLfsPointers(
  objects: ObjectReader,
  walked: Walked,
  attributes: string,
  isIgnored: IsIgnored,
): Promise<void> {
  if (!/\bfilter=lfs\b/.test(attributes)) return
  const candidates = [...walked.blobs.values()].filter(
    (blob) => blob.bytes >= LFS_POINTER_BYTES.min && blob.bytes <= LFS_POINTER_BYTES.max,
  )
  const pointers: string[] = []
  await objects.read(candidates.slice(0, MAX_LFS_CANDIDATES), (blob, bytes) => {
    const isPointer = bytes.toString('latin1', 0, LFS_POINTER.length) === LFS_POINTER
    const path = blob.path.toString('utf8')
    if (isPointer && !isIgnored(path, false)) pointers.push(path)
  })
  if (pointers.length === 0) return
  throw new PushRefused({
    reason: 'lfs-pointers',
    cause: `Git LFS pointers are here without their content: ${list(pointers)}`,
    suggestion: 'store the files in git (git lfs migrate export), or name them in .croftignore',
  })
}

function list(paths: readonly string[]): string {
  const more = paths.length - MAX_NAMED
  return (
    paths
      .slice(0, MAX_NAMED)
      .map((path) => named(path, 60))
      .join(', ') + (more > 0 ? ` and ${more} more` : '')
  )
}
