/** Bills of materials in the form of CycloneDX 1.6. Pure. */

/** The label of an image that names what its run image has: `name=version` of each Debian package, apart by spaces. */
export const BASE_PACKAGES_LABEL = 'io.croft.base.packages'

export interface Component {
  type: 'library' | 'application' | 'operating-system'
  name: string
  version: string
  purl?: string
  /** Where it came from, as pairs that every reader shows. */
  properties?: { name: string; value: string }[]
}

export interface Bill {
  bomFormat: 'CycloneDX'
  specVersion: '1.6'
  version: 1
  metadata: { component: { type: 'container'; name: string; version: string } }
  components: Component[]
}

/** What an image consists of; the same image gives the same document, so there is no time and no serial number in it. */
export function billOf(image: { name: string; digest: string }, components: readonly Component[]): Bill {
  const key = ({ name, version }: Component): string => `${name} ${version}`
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'container', name: image.name, version: image.digest } },
    components: components.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)),
  }
}

/** Where a language keeps its packages, as package URLs name it. */
export type Ecosystem = 'npm' | 'gem' | 'pypi' | 'composer'

/** A package of a language. `name` may have a namespace before a slash (`@types/node`, `symfony/console`). */
export function languagePackage(ecosystem: Ecosystem, name: string, version: string): Component {
  const path = name.split('/').map(encodeURIComponent).join('/')
  return { type: 'library', name, version, purl: `pkg:${ecosystem}/${path}@${encodeURIComponent(version)}` }
}

/** The bill that a buildpack leaves beside a layer, as text: the same packages, in any order, give the same one. */
export function layerBill(components: readonly Component[]): string {
  const { bomFormat, specVersion, version, components: sorted } = billOf({ name: '', digest: '' }, components)
  return `${JSON.stringify({ bomFormat, specVersion, version, components: sorted })}\n`
}

/** A Debian package of a stack's release. `from` is where the image has it. */
export function debianPackage(
  name: string,
  version: string,
  distro: { version: string; architecture: string },
  from: string,
): Component {
  const qualifiers = `arch=${distro.architecture}&distro=debian-${distro.version}`
  return {
    type: 'library',
    name,
    version,
    purl: `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${qualifiers}`,
    properties: [{ name: 'croft:from', value: from }],
  }
}

/** The text of BASE_PACKAGES_LABEL as names and versions. */
export function parsePackages(text: string): [name: string, version: string][] {
  return text.split(' ').flatMap((word): [string, string][] => {
    const at = word.indexOf('=')
    return at <= 0 ? [] : [[word.slice(0, at), word.slice(at + 1)]]
  })
}
