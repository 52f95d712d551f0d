import { createReadStream, existsSync, statSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, type Transform } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { bareEnv, run } from '@croft/kit'
import { decompressor, ImageLayout, mediaTypes, unpackLayer } from '@croft/oci'
import { UsageError } from '../usage.js'

const COPY_TIMEOUT_MS = 120_000
/** Where an image of buildpacks holds them: `<id with _ for />/<version>/`. */
const IN_IMAGE = 'cnb/buildpacks'
const ARCHITECTURES: Partial<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/**
 * Brings what an operator named below `draft`, and gives the folders there that hold a buildpack each: a folder, an archive
 * (`.tar`, `.tgz`, `.tar.gz`, `.tar.zst`, `.cnb`), or an image as a folder or an archive in the OCI layout. Nothing of it runs, and
 * nothing of it leads out of `draft`.
 * @throws UsageError for what is none of these, OciError for what is broken
 */
export async function bringSource(source: string, draft: string): Promise<string[]> {
  if (!existsSync(source)) throw new UsageError(`there is no ${source}`, 'name a folder, an archive or an OCI layout')
  if (statSync(source).isDirectory()) {
    if (existsSync(join(source, 'oci-layout'))) return fromLayout(source, join(draft, 'image'))
    const folder = join(draft, 'folder')
    const options = { timeoutMs: COPY_TIMEOUT_MS, env: bareEnv() }
    await run('cp', ['--archive', '--no-target-directory', '--', source, folder], options)
    return foldersIn(folder, source)
  }
  const folder = join(draft, 'archive')
  await mkdir(folder)
  await unpackLayer(createReadStream(source).pipe(reader(source)), folder)
  if (existsSync(join(folder, 'oci-layout'))) return fromLayout(folder, join(draft, 'image'))
  return foldersIn(folder, source)
}

function reader(source: string): Transform {
  if (/\.(tgz|tar\.gz)$/.test(source)) return createGunzip()
  if (/\.(tzst|tar\.zst)$/.test(source)) return decompressor(mediaTypes.layerZstd)
  if (/\.(tar|cnb)$/.test(source)) return new PassThrough()
  throw new UsageError(`${source} is no archive of a known kind`, 'name a .tar, .tgz, .tar.gz, .tar.zst or .cnb file')
}

async function fromLayout(layout: string, draft: string): Promise<string[]> {
  const images = new ImageLayout(layout)
  const { manifest } = await images.image(ARCHITECTURES[process.arch] ?? process.arch)
  await mkdir(draft)
  for (const layer of manifest.layers) {
    await unpackLayer(images.open(layer).pipe(decompressor(layer.mediaType)), draft)
  }
  const found: string[] = []
  for (const id of await namesIn(join(draft, IN_IMAGE))) {
    for (const version of await namesIn(join(draft, IN_IMAGE, id))) found.push(join(draft, IN_IMAGE, id, version))
  }
  if (found.length === 0) throw new UsageError('the image holds no buildpacks', `they lie in /${IN_IMAGE} of it`)
  return found
}

/** The buildpack at the top, or in the only folder there is, as archives of repositories have it. */
async function foldersIn(folder: string, source: string): Promise<string[]> {
  if (existsSync(join(folder, 'buildpack.toml'))) return [folder]
  const [only, ...more] = await namesIn(folder)
  if (only !== undefined && more.length === 0 && existsSync(join(folder, only, 'buildpack.toml')))
    return [join(folder, only)]
  throw new UsageError(
    `${source} holds no buildpack.toml`,
    'classic buildpacks are not installed: apps name their address',
  )
}

async function namesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted()
}
