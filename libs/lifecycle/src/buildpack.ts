import { apiAtLeast, targetsOf, type BuildpackTarget, type BuildpackToml } from './formats/buildpack-toml.js'

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
  /** Where its files are from, with the commit or the digest they have; absent for those of the platform. */
  origin?: string
}

/** What images are built for; an empty member is not known and fits everything. */
export interface Target {
  os: string
  arch: string
  archVariant?: string
  distroName: string
  distroVersion: string
}

/** Whether a buildpack is made for the target. One that names distributions wants one of them. Pure. */
export function fitsTarget(toml: BuildpackToml, target: Target): boolean {
  return targetsOf(toml).some((wanted) => matches(wanted, target))
}

function isAnyOrSame(wanted: string, actual: string): boolean {
  return wanted === '' || actual === '' || wanted === actual
}

function matches(wanted: BuildpackTarget, target: Target): boolean {
  if (!isAnyOrSame(wanted.os, target.os) || !isAnyOrSame(wanted.arch, target.arch)) return false
  if (!isAnyOrSame(wanted.archVariant, target.archVariant ?? '')) return false
  if (wanted.distros.length === 0) return true
  if (target.distroName === '' && target.distroVersion === '') return false
  return wanted.distros.some(
    ({ name, version }) => isAnyOrSame(name, target.distroName) && isAnyOrSame(version, target.distroVersion),
  )
}

/** Whether a buildpack takes part in this execution environment; before buildpack API 0.12 all do. Pure. */
export function runsIn(toml: BuildpackToml, execEnv: string): boolean {
  return !apiAtLeast(toml.api, 12) || listsExecEnv(toml.buildpack['exec-env'] ?? [], execEnv)
}

/** Whether a list of execution environments names this one; an empty list and `*` name all. Pure. */
export function listsExecEnv(listed: readonly string[], execEnv: string): boolean {
  return execEnv === '' || listed.length === 0 || listed.includes('*') || listed.includes(execEnv)
}
