/** What kind of buildpack a folder holds. */
export type BuildpackStyle =
  /** A Cloud Native Buildpack: `buildpack.toml` with `api`. */
  | { kind: 'cnb' }
  /** Heroku's interface: `bin/detect` and `bin/compile`. */
  | { kind: 'classic' }
  | { kind: 'none'; why: string }

/**
 * Tells by its files: `names` holds paths of files in the folder and in `bin/`, `toml` the text of `buildpack.toml`. A classic
 * one may have a `buildpack.toml` too, without `api`. Pure.
 */
export function styleOf(names: ReadonlySet<string>, toml: string | null): BuildpackStyle {
  const hasApi = toml !== null && /^\s*api\s*=/m.test(toml)
  if (hasApi && names.has('bin/build')) return { kind: 'cnb' }
  if (hasApi && toml !== null && /^\s*\[\[\s*order\s*\]\]/m.test(toml)) return { kind: 'cnb' }
  if (names.has('bin/compile')) {
    return names.has('bin/detect') ? { kind: 'classic' } : { kind: 'none', why: 'has bin/compile and no bin/detect' }
  }
  if (hasApi)
    return { kind: 'none', why: 'holds the source of a buildpack that has to be compiled first: there is no bin/build' }
  if (names.has('extension.toml'))
    return { kind: 'none', why: 'is an image extension, which this platform does not run' }
  if (names.has('bin/supply') || names.has('bin/finalize')) {
    return { kind: 'none', why: 'is a Cloud Foundry buildpack, which this platform does not run yet' }
  }
  return { kind: 'none', why: 'holds no buildpack: neither bin/build nor bin/compile' }
}
