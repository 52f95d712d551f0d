import type { ImageConfig } from '@croft/oci'
import { LIFECYCLE_LABEL, parseLifecycleLabel } from '@croft/lifecycle'
import { z } from 'zod'
import { BASE_PACKAGES_LABEL, billOf, debianPackage, parsePackages, type Bill, type Component } from '@croft/stacks'
import type { SystemParts } from './packages-of-image.js'

/** The property of the operating system that names what is in it and could not be read. */
const UNREAD = 'croft:unread'

export interface ImageParts {
  /** The bills that buildpacks wrote, path to text. */
  written?: ReadonlyMap<string, string>
  /** What the system of the image says itself, where its labels do not tell. */
  system?: SystemParts
  /** With the run image alone. */
  isBaseOnly?: boolean
}

/**
 * What an image consists of: the packages of its run image, as its labels or the system itself tell, what its buildpacks recorded of
 * their layers, and the packages of languages from the bills that buildpacks wrote. Pure.
 */
export function billOfImage(
  image: { name: string; digest: string },
  { architecture, config }: Pick<ImageConfig, 'architecture' | 'config'>,
  { written = new Map(), system, isBaseOnly = false }: ImageParts = {},
): Bill {
  const labels = config?.Labels ?? {}
  const version = labels['io.buildpacks.base.distro.version'] ?? ''
  const distro = { version, architecture }
  const told = parsePackages(labels[BASE_PACKAGES_LABEL] ?? '').map(([name, of]) =>
    debianPackage(name, of, distro, `stack debian-${version}`),
  )
  const base = system === undefined || system.packages.length === 0 ? told : system.packages
  const unread = (system?.unread ?? []).map((value) => ({ name: UNREAD, value }))
  const os: Component = {
    type: 'operating-system',
    name: system?.os?.id ?? labels['io.buildpacks.base.distro.name'] ?? 'unknown',
    version: system?.os?.version ?? version,
    ...(unread.length > 0 && { properties: unread }),
  }
  if (isBaseOnly) return billOf(image, [os, ...base])
  const buildpacks = parseLifecycleLabel(labels[LIFECYCLE_LABEL])?.buildpacks ?? []
  const built = buildpacks.flatMap(({ key, version: of, layers }) => [
    { type: 'application' as const, name: key, version: of },
    ...Object.entries(layers).flatMap(([layer, { data, launch }]) =>
      launch ? partsOf(data ?? {}, distro, `layer ${key}/${layer}`) : [],
    ),
  ])
  const bills = [...written].flatMap(([path, text]) => componentsOf(path, text))
  return billOf(image, [os, ...base, ...built, ...bills])
}

/** `/layers/sbom/launch/<buildpack>/<layer>/sbom.cdx.json`; the same without the layer for a whole buildpack. */
const BILL = /^layers\/sbom\/launch\/([^/]+)\/(?:([^/]+)\/)?sbom\.cdx\.json$/

/** Whether a file of an image is a bill that is read. Pure. */
export function isBill(path: string): boolean {
  return BILL.test(path)
}

const writtenSchema = z.looseObject({
  components: z
    .array(
      z.looseObject({
        type: z.string(),
        name: z.string(),
        version: z.string().optional(),
        purl: z.string().optional(),
      }),
    )
    .default([]),
})

/** Any buildpack may have written it: one that cannot be read tells nothing. */
function componentsOf(path: string, text: string): Component[] {
  const [, buildpack = '', layer] = BILL.exec(path) ?? []
  const parsed = writtenSchema.safeParse(jsonOf(text))
  if (!parsed.success) return []
  const from = [buildpack.replaceAll('_', '/'), ...(layer === undefined ? [] : [layer])].join('/')
  return parsed.data.components.map(({ type, name, version = '', purl }) => ({
    type: type === 'application' || type === 'operating-system' ? type : 'library',
    name,
    version,
    ...(purl !== undefined && { purl }),
    properties: [{ name: 'croft:from', value: `layer ${from}` }],
  }))
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `packages` of a layer's metadata are Debian's; `version` of a layer of Node.js is its own. */
function partsOf(
  data: Record<string, unknown>,
  distro: { version: string; architecture: string },
  from: string,
): Component[] {
  const properties = [{ name: 'croft:from', value: from }]
  const packages = data['packages']
  const debian =
    typeof packages === 'object' && packages !== null && !Array.isArray(packages)
      ? Object.entries(packages).flatMap(([name, version]) =>
          typeof version === 'string' ? [debianPackage(name, version, distro, from)] : [],
        )
      : []
  const { version: node, npm } = data
  if (typeof node !== 'string' || typeof npm !== 'string') return debian
  return [
    ...debian,
    { type: 'application', name: 'node', version: node, purl: `pkg:generic/node@${node}`, properties },
    { type: 'library', name: 'npm', version: npm, purl: `pkg:npm/npm@${npm}`, properties },
  ]
}
