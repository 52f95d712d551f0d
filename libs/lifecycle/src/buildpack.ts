import type { BuildpackToml, BuildpackTarget } from './formats/buildpack-toml.js'

/** A buildpack that is installed on this node. */
export interface Buildpack {
  id: string
  version: string
  api: string
  /** What people call it, `Node.js`. */
  name: string
  /** Its folder as the build container sees it. */
  directory: string
  toml: BuildpackToml
}

/** What images are built for. */
export interface Target {
  os: string
  arch: string
  distroName: string
  distroVersion: string
}

/** Whether a buildpack is made for the target; one that names none runs on any linux. Pure. */
export function fitsTarget(toml: BuildpackToml, target: Target): boolean {
  const targets = toml.targets ?? []
  if (targets.length === 0)
    return toml.stacks === undefined || toml.stacks.some(({ id }) => id === '*') || target.os === 'linux'
  return targets.some((wanted) => matches(wanted, target))
}

function isAnyOrSame(value: string | undefined, actual: string): boolean {
  return value === undefined || value === '' || value === actual
}

function matches(wanted: BuildpackTarget, target: Target): boolean {
  if (!isAnyOrSame(wanted.os, target.os) || !isAnyOrSame(wanted.arch, target.arch)) return false
  const distros = wanted.distros ?? []
  return (
    distros.length === 0 ||
    distros.some(
      ({ name, version }) => isAnyOrSame(name, target.distroName) && isAnyOrSame(version, target.distroVersion),
    )
  )
}
