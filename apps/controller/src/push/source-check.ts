import { messageOf } from '@croft/kit'
import { parseBuildpacksFile, parseProjectToml, BuildpacksFileError, TomlProblem } from '@croft/lifecycle'
import { ignoredOf, WISH_FILES, type WishFiles } from '../build/build-wishes.js'
import { appRuntime, LANGUAGE_MARKS, VERSION_FILES, type AppRuntime } from '@croft/stacks'
import { EMPTY_MANIFEST, ManifestError, parseAppManifest, type AppManifest } from './app-manifest.js'
import { commitTree } from './commit-tree.js'
import { startGit } from './git.js'
import type { IsIgnored } from './ignore-file.js'
import { readObjects, readSizes } from './object-reader.js'
import { parseProcfile, ProcfileSyntaxError } from './procfile.js'
import { PushRefused, type Refusal } from './refusal.js'
import { named } from './text.js'
import { TreeCaps, TreeReader, type TreeEntry } from './tree-caps.js'

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

const WALK_TIMEOUT_MS = 20_000
/** Platform files larger than this are not read. */
const MAX_FILE_BYTES = 1024 * 1024
const PLATFORM_FILES = new Set(['app.json', '.gitattributes', ...WISH_FILES])
/** What is no file under these names means nothing. */
const MAY_BE_OTHERWISE = new Set(['.gitattributes', 'Dockerfile'])
const MAX_NAMED = 5
/** Pointers of Git LFS are around 130 bytes. */
const LFS_POINTER_BYTES = { min: 80, max: 1_024 }
const LFS_POINTER = 'version https://git-lfs.github.com/spec/v1\n'
const MAX_LFS_CANDIDATES = 20_000

interface Walked {
  files: Map<string, TreeEntry>
  /** Files that say which version of a language the app asks for. */
  versionFiles: Map<string, TreeEntry>
  /** Those of LANGUAGE_MARKS that are files here. */
  marks: Set<string>
  submodules: string[]
  /** Each blob once. */
  blobs: Map<string, { objectId: string; path: Buffer; times: number; bytes: number }>
}

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
  const tree = await commitTree(repository, commit, folder, env)
  if (tree === undefined) throw noSource(commit, folder)
  const caps = new TreeCaps()
  const walked = await walk(repository, tree, env, caps)
  await measure(repository, walked, env, caps)
  if (walked.blobs.size === 0) {
    throw new PushRefused({
      reason: 'empty',
      cause: 'the commit holds no files',
      suggestion: 'git add . && git commit, then push again',
    })
  }
  const files = await readFiles(repository, walked.files, env)
  checkWishes(files)
  const isIgnored = ignoredOf(files)
  refuseSubmodules(walked.submodules, isIgnored)
  await refuseLfsPointers(repository, walked, files.get('.gitattributes') ?? '', isIgnored, env)
  checkProcfile(files.get('Procfile'))
  const runtime = appRuntime(walked.marks, await readFiles(repository, readable(walked), env))
  return { manifest: manifestOf(files.get('app.json')), tree, wishFiles: files, runtime }
}

function noSource(commit: string, folder: string | null): Error {
  if (folder === null) return new Error(`commit ${commit} has no tree`)
  const name = named(folder, 100)
  return new PushRefused({
    reason: 'source-dir',
    cause: `the commit has no folder ${name}/, which the app's setting source-dir names`,
    suggestion: `commit ${name}/, or go back to the whole repository with croft apps:set APP source-dir=`,
  })
}

function walk(repository: string, tree: string, env: Record<string, string>, caps: TreeCaps): Promise<Walked> {
  return new Promise((resolve, reject) => {
    const child = startGit(repository, ['ls-tree', '-r', '-t', '-z', '--full-tree', tree], env)
    const reader = new TreeReader()
    const walked: Walked = {
      files: new Map(),
      versionFiles: new Map(),
      marks: new Set(),
      submodules: [],
      blobs: new Map(),
    }
    let failure: Error | undefined
    let stderr = ''
    const stop = (error: Error): void => {
      failure ??= error
      child.kill('SIGKILL')
    }
    const timer = setTimeout(() => stop(tooComplex()), WALK_TIMEOUT_MS)
    child.stdin?.end()
    child.stderr?.on('data', (chunk: Buffer) => (stderr = `${stderr}${chunk.toString()}`.slice(-2_000)))
    child.stdout?.on('data', (chunk: Buffer) => {
      if (failure !== undefined) return
      try {
        for (const entry of reader.read(chunk)) {
          const refusal = caps.add(entry) ?? remember(walked, entry)
          if (refusal !== undefined) return stop(new PushRefused(refusal))
        }
      } catch (error) {
        stop(error instanceof Error ? error : new Error(String(error)))
      }
    })
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      if (failure !== undefined) reject(failure)
      else if (code === 0) resolve(walked)
      else reject(new Error(`git ls-tree failed: ${stderr.trim()}`))
    })
  })
}

function tooComplex(): PushRefused {
  return new PushRefused({
    reason: 'too-large',
    cause: `the tree of the commit could not be read within ${WALK_TIMEOUT_MS / 1_000} s`,
    suggestion: 'commit fewer files and folders',
  })
}

function remember(walked: Walked, entry: TreeEntry): Refusal | undefined {
  const path = entry.path.toString('utf8')
  if (entry.type === 'commit') walked.submodules.push(path)
  if (entry.type === 'tree') return PLATFORM_FILES.has(path) && !MAY_BE_OTHERWISE.has(path) ? notAFile(path) : undefined
  if (entry.type !== 'blob') return undefined
  if (PLATFORM_FILES.has(path)) {
    const isFile = entry.mode === '100644' || entry.mode === '100755'
    if (!isFile && path !== 'Dockerfile') return notAFile(path)
    if (isFile) walked.files.set(path, entry)
  }
  if (entry.mode !== '120000') {
    if (LANGUAGE_MARKS.has(path)) walked.marks.add(path)
    if (VERSION_FILES.has(path)) walked.versionFiles.set(path, entry)
  }
  const blob = walked.blobs.get(entry.objectId)
  if (blob !== undefined) blob.times += 1
  else walked.blobs.set(entry.objectId, { objectId: entry.objectId, path: entry.path, times: 1, bytes: 0 })
  return undefined
}

/** Asks for the size of each blob once. @throws PushRefused */
async function measure(repository: string, walked: Walked, env: Record<string, string>, caps: TreeCaps): Promise<void> {
  await readSizes(repository, [...walked.blobs.values()], env, (blob, bytes) => {
    blob.bytes = bytes
    const refusal = caps.addSize(blob.path, bytes, blob.times)
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
}

/** A lock file larger than anybody reads says nothing about the version: the build will. */
function readable({ versionFiles, blobs }: Walked): Map<string, TreeEntry> {
  return new Map([...versionFiles].filter(([, { objectId }]) => (blobs.get(objectId)?.bytes ?? 0) <= MAX_FILE_BYTES))
}

function notAFile(path: string): Refusal {
  return {
    reason: 'platform-file',
    cause: `${path} is not a regular file (a link or a folder is not followed)`,
    suggestion: `replace ${path} by a file and commit again`,
  }
}

async function readFiles(
  repository: string,
  entries: ReadonlyMap<string, TreeEntry>,
  env: Record<string, string>,
): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  const wanted = [...entries].map(([path, entry]) => ({ path, objectId: entry.objectId }))
  await readObjects(repository, wanted, env, (file, bytes) => files.set(file.path, bytes.toString('utf8')))
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
  repository: string,
  walked: Walked,
  attributes: string,
  isIgnored: IsIgnored,
  env: Record<string, string>,
): Promise<void> {
  if (!/\bfilter=lfs\b/.test(attributes)) return
  const candidates = [...walked.blobs.values()].filter(
    (blob) => blob.bytes >= LFS_POINTER_BYTES.min && blob.bytes <= LFS_POINTER_BYTES.max,
  )
  const pointers: string[] = []
  await readObjects(repository, candidates.slice(0, MAX_LFS_CANDIDATES), env, (blob, bytes) => {
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

function checkProcfile(text: string | undefined): void {
  if (text === undefined) return
  try {
    parseProcfile(text)
  } catch (error) {
    if (!(error instanceof ProcfileSyntaxError)) throw error
    throw new PushRefused({
      reason: 'procfile',
      cause: named(error.message, 200),
      suggestion: `correct line ${error.line}, for example "web: node server.js", then commit and push again`,
    })
  }
}

/** What the source says of its build; read again when it is built. @throws PushRefused */
function checkWishes(files: ReadonlyMap<string, string>): void {
  try {
    const project = files.get('project.toml')
    if (project !== undefined) parseProjectToml(project)
    parseBuildpacksFile(files.get('.buildpacks') ?? '')
  } catch (error) {
    if (error instanceof TomlProblem) throw wishRefused('project.toml', `project.toml, ${error.message}`)
    if (error instanceof BuildpacksFileError) throw wishRefused('.buildpacks', error.message)
    throw error
  }
}

function wishRefused(file: string, cause: string): PushRefused {
  return new PushRefused({
    reason: 'platform-file',
    cause: named(cause, 300),
    suggestion: `correct ${file}, then commit and push again`,
  })
}

function manifestOf(text: string | undefined): AppManifest {
  if (text === undefined) return EMPTY_MANIFEST
  try {
    return parseAppManifest(text)
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error
    throw new PushRefused({
      reason: 'app-json',
      cause: named(messageOf(error), 200),
      suggestion: 'correct app.json, then commit and push again',
    })
  }
}
