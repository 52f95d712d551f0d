import type { ImageConfig } from '@croft/oci'
import { LIFECYCLE_LABEL, parseLifecycleLabel } from '@croft/lifecycle'
import { BASE_PACKAGES_LABEL, billOf, debianPackage, parsePackages, type Bill, type Component } from '@croft/stacks'

/**
 * What an image consists of, as its labels tell: the Debian packages of its run image, and what its buildpacks recorded of their
 * layers. With `isBaseOnly` the run image alone. Pure.
 */
export function billOfImage(
  image: { name: string; digest: string },
  { architecture, config }: Pick<ImageConfig, 'architecture' | 'config'>,
  isBaseOnly = false,
): Bill {
  const labels = config?.Labels ?? {}
  const version = labels['io.buildpacks.base.distro.version'] ?? ''
  const distro = { version, architecture }
  const base = parsePackages(labels[BASE_PACKAGES_LABEL] ?? '').map(([name, of]) =>
    debianPackage(name, of, distro, `stack debian-${version}`),
  )
  const system: Component = {
    type: 'operating-system',
    name: labels['io.buildpacks.base.distro.name'] ?? 'unknown',
    version,
  }
  if (isBaseOnly) return billOf(image, [system, ...base])
  const buildpacks = parseLifecycleLabel(labels[LIFECYCLE_LABEL])?.buildpacks ?? []
  const built = buildpacks.flatMap(({ key, version: of, layers }) => [
    { type: 'application' as const, name: key, version: of },
    ...Object.entries(layers).flatMap(([layer, { data, launch }]) =>
      launch ? partsOf(data ?? {}, distro, `layer ${key}/${layer}`) : [],
    ),
  ])
  return billOf(image, [system, ...base, ...built])
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
