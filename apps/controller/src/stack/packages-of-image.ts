import type { FileWish, ImageConfig, ImageFiles } from '@croft/oci'
import { LIFECYCLE_LABEL } from '@croft/lifecycle'
import {
  BASE_PACKAGES_LABEL,
  parseApkInstalled,
  parseDpkgStatus,
  parseOsRelease,
  systemPackage,
  type Component,
  type OsRelease,
} from '@croft/stacks'

/** What the system of an image has, as the databases of its package managers tell. Pure. */

const DPKG = /^var\/lib\/dpkg\/(?:status|status\.d\/[^/]+(?<!\.md5sums))$/
const APK = /^(?:usr\/)?lib\/apk\/db\/installed$/
const OS_RELEASE = ['etc/os-release', 'usr/lib/os-release'] as const
const RPM = /^(?:var\/lib|usr\/lib\/sysimage)\/rpm\/(?:Packages|Packages\.db|rpmdb\.sqlite)$/

/** Which files tell of packages; of a database that is not read, that it is there. */
export function packageFileWish(path: string): FileWish {
  if (DPKG.test(path) || APK.test(path) || OS_RELEASE.some((one) => one === path)) return 'read'
  return RPM.test(path) ? 'note' : undefined
}

/** Whether the labels of an image do not tell what is in it: others made it or its run image, or it was changed by a Dockerfile. */
export function isUntold({ config }: Pick<ImageConfig, 'config'>): boolean {
  const labels = config?.Labels ?? {}
  return labels[BASE_PACKAGES_LABEL] === undefined || labels[LIFECYCLE_LABEL] === undefined
}

export interface SystemParts {
  os: OsRelease | null
  packages: Component[]
  /** What is there and was not read, for people. */
  unread: string[]
}

export function packagesOf(files: ImageFiles): SystemParts {
  const texts = [...files].flatMap(([path, bytes]) => (bytes === null ? [] : [[path, bytes.toString('utf8')] as const]))
  const os = OS_RELEASE.map((path) => parseOsRelease(files.get(path)?.toString('utf8') ?? '')).find(
    (one) => one !== null,
  )
  const packages = texts.flatMap(([path, text]) => {
    if (DPKG.test(path)) return parseDpkgStatus(text).map((one) => systemPackage('deb', one, os ?? null, `/${path}`))
    return APK.test(path) ? parseApkInstalled(text).map((one) => systemPackage('apk', one, os ?? null, `/${path}`)) : []
  })
  const unread = [...files].flatMap(([path, bytes]) => (bytes === null ? [`the rpm database /${path}`] : []))
  return { os: os ?? null, packages, unread }
}
