/**
 * Names and versions in Composer's `vendor/composer/installed.json`: a list of its second release, `packages` before it. What cannot be
 * read has none. Pure.
 */
export function installedPackages(text: string): { name: string; version: string }[] {
  const json = jsonOf(text)
  const list = Array.isArray(json) ? json : isObject(json) && Array.isArray(json['packages']) ? json['packages'] : []
  return list.flatMap((one: unknown) => {
    if (!isObject(one)) return []
    const { name, version } = one
    return typeof name === 'string' && typeof version === 'string' ? [{ name, version }] : []
  })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
