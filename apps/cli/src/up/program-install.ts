import { createHash } from 'node:crypto'
import { existsSync, globSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { CommandFailed, run } from '@croft/kit'
import { z } from 'zod'
import { postgresNative } from './program-folders.js'

/**
 * The installed program: what a home's components run from, so that neither `git pull` nor `npm ci` in the checkout touches them.
 * `<home>/program/<hash of lock file and sources>/` has the checkout's layout: `apps/ libs/ buildpacks/ node_modules/`.
 */

/** What makes stacks when the platform runs. */
const TOOLS = ['debian-archive.sh', 'package-lists.sh', 'base-image.sh', 'base-image-hook.sh', 'build-image.sh']
const SOURCES = `{apps,libs}/*/{package.json,src/**,native/**},buildpacks/**,tools/{${TOOLS.join(',')}},examples/node-hello/**,package-lock.json`
const lockSchema = z.object({
  packages: z.record(z.string(), z.looseObject({ dev: z.boolean().optional(), link: z.boolean().optional() })),
})

/** Hex hash of everything the program is made from. */
export async function programHash(checkout: string): Promise<string> {
  const files = globSync(SOURCES.replace(/^(.*)$/, '{$1}'), { cwd: checkout, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(checkout, join(entry.parentPath, entry.name)))
    .filter((file) => !/(^|\/)(dist|node_modules)\/|\.spec\.ts$/.test(file))
    .sort()
  const hash = createHash('sha256')
  const contents = await Promise.all(files.map((file) => readFile(join(checkout, file))))
  for (const [index, file] of files.entries())
    hash
      .update(`${file}\0`)
      .update(contents[index] ?? '')
      .update('\0')
  return hash.digest('hex').slice(0, 16)
}

/** The folder of the program with this hash, installed first when it is not there; a half-made one is never seen. */
export async function installProgram(checkout: string, programs: string, hash: string): Promise<string> {
  const folder = join(programs, hash)
  if (existsSync(join(folder, '.complete'))) return folder
  const fresh = `${folder}.new`
  await Promise.all([fresh, folder].map((old) => rm(old, { recursive: true, force: true })))
  await mkdir(fresh, { recursive: true, mode: 0o755 })
  await linkPackages(checkout, fresh)
  await Promise.all([copyWorkspaces(checkout, fresh), linkPostgresLibraries(fresh)])
  // whatever the umask of the clone was, the components' users must be able to read it
  await run('/bin/chmod', ['-R', 'a+rX,go-w', fresh], { timeoutMs: 60_000 })
  await writeFile(join(fresh, '.complete'), '')
  await rename(fresh, folder)
  return folder
}

/** Removes installed programs other than those named. */
export async function removeOtherPrograms(programs: string, keep: readonly string[]): Promise<void> {
  for (const name of await readdir(programs)) {
    if (!keep.includes(name)) await rm(join(programs, name), { recursive: true, force: true })
  }
}

/** The production packages of the lock file, hard-linked where the disk allows it. npm replaces files and never writes into them. */
async function linkPackages(checkout: string, target: string): Promise<void> {
  const lock = lockSchema.parse(JSON.parse(await readFile(join(checkout, 'package-lock.json'), 'utf8')))
  const top = Object.entries(lock.packages)
    .filter(([path, { dev, link }]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && dev !== true && link !== true)
    .map(([path]) => path)
    .filter((path) => existsSync(join(checkout, path)))
  const copy = (how: string[]): Promise<unknown> =>
    run('/bin/cp', ['-r', '--parents', '--preserve=mode,timestamps,links', ...how, '--', ...top, target], {
      cwd: checkout,
      timeoutMs: 300_000,
    })
  if (await isOwnedByRoot(checkout)) {
    try {
      await copy(['--link'])
      return
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error // another file system: hard links cannot reach it
      await rm(join(target, 'node_modules'), { recursive: true, force: true })
    }
  }
  await copy([])
}

/** A hard link keeps its owner: of a file somebody else may change, components get a copy. */
async function isOwnedByRoot(checkout: string): Promise<boolean> {
  const { stdout } = await run('/usr/bin/stat', ['-c', '%u', join(checkout, 'node_modules')], { timeoutMs: 5_000 })
  return stdout.toString().trim() === '0'
}

/** Our own packages are copied: the compiler writes into its output files in place. */
async function copyWorkspaces(checkout: string, target: string): Promise<void> {
  const manifests = globSync('{apps,libs,buildpacks}/*/package.json', { cwd: checkout })
  for (const manifest of manifests) {
    const folder = dirname(manifest)
    const keep = (source: string): boolean =>
      !/\/(src|node_modules)$|\.(spec\.js|spec\.js\.map|d\.ts|tsbuildinfo)$|\/tsconfig\.json$/.test(
        source.slice(checkout.length),
      )
    await cp(join(checkout, folder), join(target, folder), { recursive: true, filter: keep })
    const { name } = z.object({ name: z.string() }).parse(JSON.parse(await readFile(join(checkout, manifest), 'utf8')))
    const link = join(target, 'node_modules', name)
    await mkdir(dirname(link), { recursive: true })
    await symlink(relative(dirname(link), join(target, folder)), link)
  }
  await cp(join(checkout, 'buildpacks/order.toml'), join(target, 'buildpacks/order.toml'))
  await cp(join(checkout, 'examples/node-hello'), join(target, 'examples/node-hello'), { recursive: true })
  for (const tool of TOOLS) await cp(join(checkout, 'tools', tool), join(target, 'tools', tool))
  await cp(join(checkout, 'package.json'), join(target, 'package.json'))
}

/** The package would make these links by an install script; no install script ever runs here. */
async function linkPostgresLibraries(target: string): Promise<void> {
  const native = postgresNative(target)
  const links = z
    .array(z.object({ source: z.string(), target: z.string() }))
    .parse(JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')))
  for (const { source, target: link } of links) {
    const path = join(dirname(native), link)
    await rm(path, { force: true })
    await symlink(basename(source), path)
  }
}
