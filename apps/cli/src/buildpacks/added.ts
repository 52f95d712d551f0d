import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bareEnv, run } from '@croft/kit'
import { escapeId, isSupportedApi, parseBuildpackToml, BUILDPACK_APIS, type BuildpackToml } from '@croft/lifecycle'
import { digestOfStream, layerTar } from '@croft/oci'
import { addedBuildpackSchema, type AddedBuildpack } from '@croft/protocol'
import { UsageError } from '../usage.js'
import { bringSource } from './source.js'

/** Buildpacks that operators added to a home. Executors look here at every build; what is here is never changed, only replaced. */
export function addedFolder(home: string): string {
  return join(home, 'buildpacks')
}

/** All of them, by id and version. */
export async function listAdded(home: string): Promise<AddedBuildpack[]> {
  const names = (await readdir(addedFolder(home)).catch(() => [])).filter((name) => name.endsWith('.json'))
  const records = await Promise.all(names.map((name) => readFile(join(addedFolder(home), name), 'utf8')))
  return records
    .map((text) => addedBuildpackSchema.parse(JSON.parse(text)))
    .toSorted((a, b) => a.id.localeCompare(b.id) || a.version.localeCompare(b.version))
}

/**
 * Adds the buildpacks that `source` holds, for all teams or for some. One of the same id and version is replaced: builds that
 * began with the former one may fail.
 * @throws UsageError
 */
export async function addBuildpacks(
  home: string,
  source: string,
  teams: readonly string[],
  now: Date,
): Promise<AddedBuildpack[]> {
  const target = addedFolder(home)
  await mkdir(target, { recursive: true, mode: 0o755 })
  const draft = await mkdtemp(join(target, '.new-'))
  try {
    const folders = await bringSource(source, draft)
    const read = await Promise.all(folders.map(async (folder) => ({ folder, toml: await checked(folder) })))
    const added: AddedBuildpack[] = []
    for (const { folder, toml } of read) {
      const { id, version } = toml.buildpack
      await tidy(folder)
      const record: AddedBuildpack = {
        id,
        version,
        digest: await digestOfStream(layerTar(folder, ['.'], { uid: 0, gid: 0 })),
        teams: teams.length === 0 ? null : [...teams],
        addedAt: now.toISOString(),
      }
      await put(target, folder, record)
      added.push(record)
    }
    return added
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** Takes one away; builds that begin from now on do without it. @throws UsageError when it is not there */
export async function removeAdded(home: string, name: string): Promise<AddedBuildpack> {
  const found = (await listAdded(home)).find(({ id, version }) => `${id}@${version}` === name)
  if (found === undefined) throw new UsageError(`there is no added buildpack ${name}`, 'croft buildpacks lists them')
  const path = join(addedFolder(home), nameOf(found))
  await rm(`${path}.json`, { force: true })
  await rm(path, { recursive: true, force: true })
  return found
}

async function checked(folder: string): Promise<BuildpackToml> {
  const toml = parseBuildpackToml(await readFile(join(folder, 'buildpack.toml'), 'utf8'), 'buildpack.toml')
  const { id, version } = toml.buildpack
  const name = `${id}@${version}`
  if (!/^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(version)) throw new UsageError(`${name} has a version that is none`)
  if (id.startsWith('croft/'))
    throw new UsageError(`${name} has an id of the platform's own`, 'ids croft/... come with Croft')
  if (!isSupportedApi(toml.api)) {
    throw new UsageError(`${name} speaks buildpack API ${toml.api}`, `Croft speaks ${BUILDPACK_APIS.join(', ')}`)
  }
  const hasPrograms = ['bin/build', 'bin/detect'].every((path) => existsSync(join(folder, path)))
  if (!hasPrograms && toml.order === undefined) {
    throw new UsageError(
      `${name} has no bin/detect and bin/build`,
      'name its archive or its image: its source has to be compiled',
    )
  }
  return toml
}

/** Owned by root, writable by nobody else, and no set-uid program among it. */
async function tidy(folder: string): Promise<void> {
  const options = { timeoutMs: 60_000, env: bareEnv() }
  await run('chown', ['--recursive', '--no-dereference', '0:0', '--', folder], options)
  await run('chmod', ['--recursive', 'u=rwX,go=rX,ug-s,-t', '--', folder], options)
}

async function put(target: string, folder: string, record: AddedBuildpack): Promise<void> {
  const path = join(target, nameOf(record))
  await rm(`${path}.json`, { force: true })
  await rm(path, { recursive: true, force: true })
  await rename(folder, path)
  await writeFile(`${path}.json.new`, `${JSON.stringify(record, null, 2)}\n`)
  await rename(`${path}.json.new`, `${path}.json`)
}

function nameOf({ id, version }: Pick<AddedBuildpack, 'id' | 'version'>): string {
  return `${escapeId(id)}@${version}`
}
