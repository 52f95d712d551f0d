/** What may reach a terminal: printable ASCII. Pure. */

/** Text for people from anything, hostile names and program output included: printable ASCII, the rest as `?`, no escapes. */
export function printable(text: string): string {
  return (
    text
      // a whole escape sequence, so that its parameters do not stay behind as text
      // oxlint-disable-next-line no-control-regex
      .replace(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\^_])/g, '')
      .replace(/\t/g, '    ')
      .replace(/\r/g, '')
      .replace(/[^\x20-\x7e]/gu, '?')
  )
}

/** A name inside a sentence: printable and at most `max` characters. */
export function named(name: string, max = 120): string {
  const text = printable(name)
  return text.length <= max ? text : `${text.slice(0, max - 3)}...`
}

/**
 * `name` and a safe `suffix` as one argument of a POSIX shell command a person may copy, or undefined when it holds what should
 * not be copied.
 */
export function shellWord(name: string, suffix = ''): string | undefined {
  if (/^[A-Za-z0-9_][A-Za-z0-9._/@+-]*$/.test(name)) return name + suffix
  if (/^[\x20-\x26\x28-\x7e]+$/.test(name) && !name.startsWith('-')) return `'${name}${suffix}'`
  return undefined
}

/** `2.1 s` under a minute, `3 min 5 s` from there. */
export function duration(ms: number): string {
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}
