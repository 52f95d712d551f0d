import { WISH_FILES } from '../build/build-wishes.js'
import { LANGUAGE_MARKS, VERSION_FILES } from '@croft/stacks'
import { startGit } from './git.js'
import { PushRefused, type Refusal } from './refusal.js'
import { TreeCaps, TreeReader, type TreeEntry } from './tree-caps.js'

const WALK_TIMEOUT_MS = 20_000
const PLATFORM_FILES = new Set(['app.json', '.gitattributes', ...WISH_FILES])
/** What is no file under these names means nothing. */
const MAY_BE_OTHERWISE = new Set(['.gitattributes', 'Dockerfile'])

/** What is in a tree, within the caps so far. */
export interface Walked {
  caps: TreeCaps
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
 * Reads the names of everything in a tree; `tree` is its id, or a name that git has for it. `env` names the quarantine while the objects
 * are there.
 * @throws PushRefused
 */
export function walkSource(repository: string, tree: string, env: Record<string, string>): Promise<Walked> {
  return new Promise((resolve, reject) => {
    const child = startGit(repository, ['ls-tree', '-r', '-t', '-z', '--full-tree', tree], env)
    const reader = new TreeReader()
    const walked: Walked = {
      caps: new TreeCaps(),
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
          const refusal = walked.caps.add(entry) ?? remember(walked, entry)
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

function notAFile(path: string): Refusal {
  return {
    reason: 'platform-file',
    cause: `${path} is not a regular file (a link or a folder is not followed)`,
    suggestion: `replace ${path} by a file and commit again`,
  }
}
