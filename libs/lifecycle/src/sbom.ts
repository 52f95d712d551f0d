import type { Buildpack } from './buildpack.js'
import { LifecycleError } from './errors.js'
import { escapeId } from './formats/buildpack-toml.js'
import { isKept, type LayerTypes } from './formats/layer-toml.js'

/** A software bill of materials that a buildpack left beside its layers. */
export interface Sbom {
  /** `<layer>.sbom.<ext>`, `launch.sbom.<ext>` or `build.sbom.<ext>`, as it lies in the buildpack's folder. */
  file: string
  text: string
}

/** Where the copy of one belongs: below `sbom/<kind>` of the layers folder. */
export interface SbomCopy {
  kind: 'launch' | 'build' | 'cache'
  /** `<buildpack>/[<layer>/]sbom.<ext>` */
  path: string
  text: string
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  'sbom.cdx.json': 'application/vnd.cyclonedx+json',
  'sbom.spdx.json': 'application/spdx+json',
  'sbom.syft.json': 'application/vnd.syft+json',
}
const NAME = /^([^.]+)\.(sbom\..*\.json)$/

/** Whether a file of a buildpack's folder is one. */
export function isSbomName(file: string): boolean {
  return NAME.test(file)
}

/**
 * Where the bills of a buildpack go: those of launch layers and of the app into the image, others to the build; those of cached
 * layers also to the next build. Bills of layers that are not kept are left out. Pure.
 * @throws LifecycleError for a format nobody knows or the buildpack does not declare
 */
export function placeSboms(
  buildpack: Pick<Buildpack, 'id' | 'toml'>,
  sboms: readonly Sbom[],
  layers: ReadonlyMap<string, LayerTypes>,
): SbomCopy[] {
  const declared = (buildpack.toml.buildpack['sbom-formats'] ?? []).map((format) => (format.split(';')[0] ?? '').trim())
  return sboms.flatMap(({ file, text }) => {
    const [, owner = '', name = ''] = NAME.exec(file) ?? []
    const kinds = kindsOf(owner, layers)
    if (kinds.length === 0) return []
    const mediaType = MEDIA_TYPES[name]
    const wrong =
      mediaType === undefined
        ? 'is of no known format (sbom.cdx.json, sbom.spdx.json, sbom.syft.json)'
        : `is ${mediaType}, which sbom-formats in its buildpack.toml does not name`
    if (mediaType === undefined || !declared.includes(mediaType)) {
      throw new LifecycleError('build', `${file} of ${buildpack.id} ${wrong}`, 'fix the buildpack that wrote it')
    }
    const layer = owner === 'launch' || owner === 'build' ? '' : `${owner}/`
    return kinds.map((kind) => ({ kind, path: `${escapeId(buildpack.id)}/${layer}${name}`, text }))
  })
}

function kindsOf(owner: string, layers: ReadonlyMap<string, LayerTypes>): SbomCopy['kind'][] {
  if (owner === 'launch' || owner === 'build') return [owner]
  const types = layers.get(owner)
  if (types === undefined || !isKept(types)) return []
  return [types.launch ? 'launch' : 'build', ...(types.cache ? (['cache'] as const) : [])]
}
