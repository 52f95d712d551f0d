import { PROCESS_TYPE, PROCESS_TYPE_RULE } from '@croft/kit'

/** The Procfile of an app: `type: command` on each line, `#` comments. Pure. */

export class ProcfileSyntaxError extends Error {
  constructor(
    readonly line: number,
    why: string,
  ) {
    super(`Procfile, line ${line}: ${why}`)
    this.name = 'ProcfileSyntaxError'
  }
}

/**
 * Process types and their commands, in the order of the file.
 * @throws ProcfileSyntaxError naming the line.
 */
export function parseProcfile(text: string): Map<string, string> {
  const types = new Map<string, string>()
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    if (colon < 0) throw new ProcfileSyntaxError(index + 1, 'expected "type: command", found no colon')
    const type = line.slice(0, colon).trim()
    const command = line.slice(colon + 1).trim()
    if (!PROCESS_TYPE.test(type)) throw new ProcfileSyntaxError(index + 1, PROCESS_TYPE_RULE)
    if (command === '') throw new ProcfileSyntaxError(index + 1, `process type ${type} has no command`)
    if (types.has(type)) throw new ProcfileSyntaxError(index + 1, `process type ${type} is declared twice`)
    types.set(type, command)
  }
  return types
}
