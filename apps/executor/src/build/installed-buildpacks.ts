import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import {
  isSupportedApi,
  LifecycleError,
  parseBuildpackToml,
  parseOrderToml,
  type Buildpack,
  type Order,
} from '@croft/lifecycle'

/** The buildpacks of a node and the order in which their groups are tried. */
export interface InstalledBuildpacks {
  buildpacks: Buildpack[]
  order: Order
}

/** Reads `<folder>/<name>/buildpack.toml` and `<folder>/order.toml`; `mountedAt` is where the container sees the folder. */
export async function readInstalledBuildpacks(folder: string, mountedAt: string): Promise<InstalledBuildpacks> {
  const names = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
  const found = await Promise.all(names.toSorted().map((name) => readOne(join(folder, name), `${mountedAt}/${name}`)))
  return {
    buildpacks: found.filter((buildpack) => buildpack !== null),
    order: parseOrderToml(await readFile(join(folder, 'order.toml'), 'utf8')),
  }
}

async function readOne(folder: string, directory: string): Promise<Buildpack | null> {
  const path = join(folder, 'buildpack.toml')
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  })
  if (text === null) return null
  const toml = parseBuildpackToml(text, path)
  const { id, version, name } = toml.buildpack
  if (!isSupportedApi(toml.api)) {
    throw new LifecycleError(
      'buildpack',
      `buildpack ${id} wants API ${toml.api}, which is not supported`,
      'install another version',
    )
  }
  return { id, version, api: toml.api, name: name ?? id, directory, toml }
}
