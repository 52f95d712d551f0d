/** The package registry that the platform hands to builds. Pure. */

/**
 * For managers that do not read npm's settings: the registry of `npm_config_registry`, else of npm's global settings file, which `read`
 * gives; null when there is none, or when one of the app's own settings files names another.
 */
export function registryFor(
  env: Readonly<Record<string, string>>,
  files: readonly (string | null)[],
  read: (path: string) => string,
): string | null {
  if (files.some((text) => text !== null && /^"?(?:registry|npmRegistryServer)"?\s*[=:\s]/m.test(text))) return null
  const given = env['npm_config_registry'] ?? ''
  if (given !== '') return given
  const file = env['npm_config_globalconfig'] ?? ''
  return file === '' ? null : registryIn(read(file))
}

/** The registry that an npmrc names, the last one if several. */
export function registryIn(npmrc: string): string | null {
  const last = [...npmrc.matchAll(/^\s*registry\s*=\s*"?([^\s"]+)/gm)].at(-1)
  return last?.[1] ?? null
}
