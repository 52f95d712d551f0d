import type { Component } from './cyclone-dx.js'
import type { OsRelease } from './os-release.js'

/** A package of the system of an image. Pure. */
export interface SystemPackage {
  name: string
  version: string
  /** As the distribution calls it; '' when nobody says. */
  architecture: string
}

/** Most packages of one database; what comes after them is left out. */
export const MAX_SYSTEM_PACKAGES = 20_000

/** A package of dpkg or apk as a component, by the address that scanners know. `from` is where the image has it. */
export function systemPackage(
  kind: 'deb' | 'apk',
  { name, version, architecture }: SystemPackage,
  os: OsRelease | null,
  from: string,
): Component {
  const namespace = os?.id ?? (kind === 'deb' ? 'debian' : 'alpine')
  const qualifiers = [
    ...(architecture === '' ? [] : [`arch=${encodeURIComponent(architecture)}`]),
    ...(os === null || os.version === '' ? [] : [`distro=${encodeURIComponent(`${os.id}-${os.version}`)}`]),
  ]
  const address = `pkg:${kind}/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}@${encodeURIComponent(version)}`
  return {
    type: 'library',
    name,
    version,
    purl: qualifiers.length === 0 ? address : `${address}?${qualifiers.join('&')}`,
    properties: [{ name: 'croft:from', value: from }],
  }
}
