/**
 * The settings of an npmrc: `key = value` lines, `${NAME}` replaced from the environment, comments and list entries left out. Pure.
 */
export function parseNpmrc(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): [key: string, value: string][] {
  return text.split('\n').flatMap((line): [string, string][] => {
    const match = /^\s*([^#;=\s][^=\s]*)\s*=\s*(.*?)\s*$/.exec(line)
    if (match?.[1] === undefined || match[1].endsWith('[]')) return []
    const value = (match[2] ?? '')
      .replace(/^"(.*)"$/, '$1')
      .replaceAll(/\$\{([^}]+)\}/g, (whole, name: string) => env[name] ?? whole)
    return [[match[1], value]]
  })
}
