/**
 * The `credential.<origin>.helper` that asks this CLI, with the options under which it finds the platform again. git runs it with
 * a shell, so each word is quoted. Pure.
 */
export function credentialHelper(launcher: string, options: readonly string[]): string {
  return `!${[launcher, 'git:credential', ...options].map(quoted).join(' ')}`
}

function quoted(word: string): string {
  return /^[A-Za-z0-9_./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** The attributes git writes to a helper, `key=value` a line. Pure. */
export function parseAttributes(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const at = line.indexOf('=')
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : []
    }),
  )
}

/** What the helper answers: the token, and only to the platform it belongs to. Pure. */
export function credentialAnswer(
  asked: Readonly<Record<string, string>>,
  platform: { url: string; token: string },
): string {
  const { protocol, host } = new URL(platform.url)
  if (`${asked['protocol']}:` !== protocol || asked['host'] !== host) return ''
  return `username=croft\npassword=${platform.token}\n`
}
