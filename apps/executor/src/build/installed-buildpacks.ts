import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import { parseBuildpackToml, parseOrderToml, refuseExtensions, type Buildpack, type Order } from '@croft/lifecycle'

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
  const text = await textOf(path)
  if (text === null) {
    if ((await textOf(join(folder, 'extension.toml'))) !== null) refuseExtensions(folder)
    return null
  }
  const toml = parseBuildpackToml(text, path)
  const { id, version, name } = toml.buildpack
  return { id, version, api: toml.api, name: name ?? id, directory, toml }
}

async function textOf(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  })
}
