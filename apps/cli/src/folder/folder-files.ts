import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { CroftError, errnoOf, messageOf } from '@croft/kit'
import { DockerIgnoreError, parseDockerIgnore, type DockerIgnore } from './docker-ignore.js'

/** Largest folder, bytes: what the platform takes. */
export const MAX_FOLDER_BYTES = 500 * 1024 * 1024
const MAX_ENTRIES = 200_000
/** By which a folder tells how it is built and run: always sent. */
const ALWAYS = new Set([
  '.containerignore',
  '.croftignore',
  '.dockerignore',
  '.slugignore',
  'Dockerfile',
  'Procfile',
  'app.json',
  'project.toml',
])

/** One thing that is sent. */
export type FolderFile =
  | { kind: 'file'; path: string; bytes: number; isExecutable: boolean }
  | { kind: 'symlink'; path: string; target: string }

export interface Folder {
  /** Absolute. */
  root: string
  /** Its last name, for people. */
  name: string
  /** By path. */
  files: FolderFile[]
  bytes: number
}

/** A folder that cannot be sent. */
export class FolderUnusable extends CroftError {
  constructor(title: string, suggestion: string, cause?: unknown) {
    super({ code: 'folder', status: 400, title, suggestion, kind: 'user', cause })
  }
}

/** Lists what of a folder is sent: all but what its ignore file names and git's own files. @throws FolderUnusable */
export async function listFolder(path: string): Promise<Folder> {
  const root = resolve(path)
  const folder: Folder = { root, name: basename(root) || 'root', files: [], bytes: 0 }
  const names = await readdir(root).catch((error: unknown) => {
    throw new FolderUnusable(`${path} is no folder: ${messageOf(error)}`, 'croft deploy --dockerfile FOLDER', error)
  })
  if (!names.includes('Dockerfile')) {
    const suggestion = 'write one, or name the folder that has it: croft deploy --dockerfile FOLDER'
    throw new FolderUnusable(`there is no file Dockerfile in ${root}`, suggestion)
  }
  await walk(folder, '', await ignoreOf(root))
  return folder
}

/** Buildah's own file comes before Docker's. */
async function ignoreOf(root: string): Promise<DockerIgnore> {
  for (const name of ['.containerignore', '.dockerignore']) {
    try {
      return parseDockerIgnore(await readFile(join(root, name), 'utf8'))
    } catch (error) {
      if (error instanceof DockerIgnoreError)
        throw new FolderUnusable(`${name}, ${error.message}`, `correct ${name}`, error)
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
  return parseDockerIgnore('')
}

async function walk(folder: Folder, below: string, ignore: DockerIgnore): Promise<void> {
  for (const name of (await readable(below || folder.root, readdir(join(folder.root, below)))).toSorted()) {
    const path = below === '' ? name : `${below}/${name}`
    if (name === '.git') continue
    const isIgnored = !ALWAYS.has(path) && ignore.isIgnored(path)
    if (isIgnored && !ignore.mayTakeBack) continue
    if (path.includes('\uFFFD')) throw unusable(`the name ${path} is not UTF-8`)
    const found = await readable(path, lstat(join(folder.root, path)))
    if (found.isDirectory()) await walk(folder, path, ignore)
    else if (!isIgnored) await add(folder, path, found)
  }
}

async function add(folder: Folder, path: string, found: Awaited<ReturnType<typeof lstat>>): Promise<void> {
  if (found.isSymbolicLink()) {
    folder.files.push({ kind: 'symlink', path, target: await readable(path, readlink(join(folder.root, path))) })
  } else if (found.isFile()) {
    const bytes = Number(found.size)
    folder.files.push({ kind: 'file', path, bytes, isExecutable: (Number(found.mode) & 0o100) !== 0 })
    folder.bytes += bytes
  } else throw unusable(`${path} is neither a file, a folder nor a symbolic link`)
  if (folder.files.length > MAX_ENTRIES) throw unusable(`the folder holds more than ${MAX_ENTRIES} files`)
  if (folder.bytes > MAX_FOLDER_BYTES) throw unusable(`the folder is larger than ${MAX_FOLDER_BYTES / 1024 ** 2} MB`)
}

async function readable<T>(path: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw changed(path, error)
    throw unreadable(path, error)
  }
}

function unusable(what: string): FolderUnusable {
  return new FolderUnusable(what, 'name what the image does not need in .dockerignore')
}

/** Something that whoever runs this may not read. */
export function unreadable(path: string, cause: unknown): FolderUnusable {
  const why = messageOf(cause)
  return new FolderUnusable(`${path} cannot be read: ${why}`, 'name it in .dockerignore, or make it readable', cause)
}

/** Something that was not the same any more when it was read. */
export function changed(path: string, cause?: unknown): FolderUnusable {
  return new FolderUnusable(`${path} changed while it was read`, 'deploy again', cause)
}
