/**
 * Settings as the text of a git configuration file, which may be appended to one (git-config(1), "Configuration file"). Pure.
 * @param settings keys as `git config` takes them, `section.name` or `section.subsection.name`
 */
export function gitConfigText(settings: readonly (readonly [key: string, value: string])[]): string {
  return settings
    .map(([key, value]) => {
      const [section = '', ...rest] = key.split('.')
      const name = rest.pop() ?? ''
      const title = rest.length === 0 ? section : `${section} ${quoted(rest.join('.'))}`
      return `[${title}]\n\t${name} = ${quoted(value)}\n`
    })
    .join('')
}

/** A line break would end the value: git writes it as an escape. */
const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`
