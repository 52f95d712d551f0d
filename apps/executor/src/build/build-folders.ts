import { chown, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, messageOf, type Logger } from '@croft/kit'
import type { Owner } from '@croft/oci'
import type { BuildPaths } from './ports.js'

/** Whom build processes run as on Croft's own stacks. */
export const BUILD_USER: Owner = { uid: 1001, gid: 1001 }

const FOLDER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$/

/** The folders of one build. Their content belongs to nobody but this build, and goes with it. */
export interface BuildFolders {
  /** Whom build processes run as; also the owner of everything in buildpack layers. */
  owner: Owner
  /** Upper directory of `/layers`. */
  layers: string
  layersWork: string
  /** `/workspace`. */
  workspace: string
  /** Where plans and failures are handed over: flat, and never a link followed. */
  exchange: string
  /** Buildpacks that come from elsewhere than the platform. */
  foreign: string
  /** `/platform`, on a tmpfs. */
  platform: string
  /** Settings with which its programs reach package registries; not made yet. */
  reach: string
  /** Images that a Dockerfile builds on, as buildah finds them; not made yet. */
  images: string
  /** Apt's configuration for the commands of a Dockerfile; not made yet. */
  apt: string
  /** Trees for the build cache until the build has succeeded. */
  drafts: string
  /** Compressed layers on their way to the registry. */
  spool: string
  remove(): Promise<void>
}

/** Makes the folders of build `name`, which must be new. */
export async function makeBuildFolders(
  paths: BuildPaths,
  name: string,
  env: Record<string, string>,
): Promise<BuildFolders> {
  if (!FOLDER_NAME.test(name)) throw new RangeError(`not a folder name: ${name}`)
  const root = join(paths.builds, name)
  const secret = join(paths.secrets, name)
  await removeFolders([root, secret])
  const folders: BuildFolders = {
    owner: BUILD_USER,
    layers: join(root, 'layers'),
    layersWork: join(root, 'layers.work'),
    workspace: join(root, 'workspace'),
    exchange: join(root, 'exchange'),
    foreign: join(root, 'foreign'),
    platform: join(secret, 'platform'),
    reach: join(root, 'reach'),
    images: join(root, 'images'),
    apt: join(root, 'apt'),
    drafts: join(root, 'drafts'),
    spool: join(root, 'spool'),
    remove: () => removeFolders([root, secret]),
  }
  for (const parent of [paths.builds, paths.secrets]) await mkdir(parent, { recursive: true, mode: 0o700 })
  await mkdir(root, { mode: 0o700 })
  await Promise.all([folders.layersWork, folders.drafts, folders.spool].map((path) => mkdir(path, { mode: 0o700 })))
  for (const path of writtenFolders(folders)) await mkdir(path, { mode: 0o755 })
  await giveFolders(folders, BUILD_USER)
  await mkdir(join(folders.platform, 'env'), { recursive: true, mode: 0o755 })
  await writePlatformEnv(folders, env)
  return folders
}

/** The same folders for a build whose processes run as somebody else. Nothing may lie in them yet. */
export async function giveFolders(folders: BuildFolders, owner: Owner): Promise<BuildFolders> {
  for (const path of writtenFolders(folders)) await chown(path, owner.uid, owner.gid)
  return { ...folders, owner }
}

/** Those that a build may write to. */
export function writtenFolders({ layers, workspace, exchange, foreign }: BuildFolders): string[] {
  return [layers, workspace, exchange, foreign]
}

/** Build-time variables, as buildpacks read them: `/platform/env/NAME`. */
export async function writePlatformEnv(
  { platform }: Pick<BuildFolders, 'platform'>,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [variable, value] of Object.entries(env)) {
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable))
      await writeFile(join(platform, 'env', variable), value, { mode: 0o644 })
  }
}

/** Removes what builds of a former executor left behind. Resolves before it is gone, but after it is out of the way of new builds. */
export async function sweepBuildFolders(paths: BuildPaths, logger: Logger): Promise<void> {
  const list = async (parent: string): Promise<string[]> =>
    (await readdir(parent).catch(() => [])).map((name) => join(parent, name))
  const left = [...(await list(paths.builds)), ...(await list(paths.secrets))]
  const doomed = await moveAway(left)
  removeAll(doomed).catch((error: unknown) => logger.warn('builds-not-swept', { why: messageOf(error) }))
}

/** Out of the way at once, gone a little later. */
async function removeFolders(folders: readonly string[]): Promise<void> {
  await removeAll(await moveAway(folders))
}

async function moveAway(folders: readonly string[]): Promise<string[]> {
  const moved: string[] = []
  for (const folder of folders) {
    const away = `${folder}.gone-${process.hrtime.bigint()}`
    try {
      await rename(folder, away)
      moved.push(away)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
  return moved
}

async function removeAll(folders: readonly string[]): Promise<void> {
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
}
