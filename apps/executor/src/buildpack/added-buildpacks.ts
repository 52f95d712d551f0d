import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseBuildpackToml, type Buildpack } from '@croft/lifecycle'
import { addedBuildpackSchema } from '@croft/protocol'

/** Where the build container sees the buildpacks that operators added. */
export const ADDED = '/cnb/croft/added'

/** The buildpacks that operators added and apps of this team may use; one that cannot be read is left out. */
export async function addedBuildpacks(folder: string, team: string): Promise<Buildpack[]> {
  const names = await readdir(folder).catch(() => [])
  const found = await Promise.all(
    names.filter((name) => name.endsWith('.json')).map((name) => readOne(folder, name.slice(0, -'.json'.length), team)),
  )
  return found.filter((buildpack) => buildpack !== null)
}

async function readOne(folder: string, name: string, team: string): Promise<Buildpack | null> {
  try {
    const record = addedBuildpackSchema.parse(JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')))
    if (record.teams !== null && !record.teams.includes(team)) return null
    const toml = parseBuildpackToml(
      await readFile(join(folder, name, 'buildpack.toml'), 'utf8'),
      `buildpack.toml of ${name}`,
    )
    const { id, version } = toml.buildpack
    return {
      id,
      version,
      api: toml.api,
      name: toml.buildpack.name ?? id,
      directory: `${ADDED}/${name}`,
      toml,
      origin: record.digest,
    }
  } catch {
    return null // it is just being replaced
  }
}
