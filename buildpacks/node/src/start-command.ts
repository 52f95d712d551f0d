/** How an app is started when no Procfile says it: its start script as a process of its own, without its manager in between. Pure. */

const MAX_DEPTH = 5
/** What only a shell understands; quotes are understood here. */
const SHELL_CHARACTERS = /[|&;<>()$`\\*?[\]#~{}!\n]/

export interface StartCommand {
  command: string[]
  args: string[]
}

/**
 * The web process of an app: `scripts.start`, followed through `npm run` and its like, as plain words when no shell is needed, else by bash;
 * without it `server.js`, then `main`. Null when there is nothing to start.
 */
export function startCommand(
  scripts: Record<string, string>,
  main: string | null,
  exists: (file: string) => boolean,
): StartCommand | null {
  const script = scripts['start']
  if (script !== undefined && script.trim() !== '') {
    const before = scripts['prestart']
    if (before !== undefined) return shell(`{ ${before.trim()}; } && ${script.trim()}`)
    return fromScript(script.trim(), scripts, 0)
  }
  const file = ['server.js', ...(main === null ? [] : [main]), 'index.js'].find(exists)
  return file === undefined ? null : { command: ['node', file], args: [] }
}

function shell(line: string): StartCommand {
  return { command: ['bash', '-c'], args: [line] }
}

function fromScript(line: string, scripts: Record<string, string>, depth: number): StartCommand {
  const words = splitWords(line)
  if (words === null) return shell(line)
  const next = delegated(words, scripts)
  const script = next === null ? undefined : scripts[next]
  const hasHooks = next !== null && (scripts[`pre${next}`] !== undefined || scripts[`post${next}`] !== undefined)
  if (script !== undefined && !hasHooks && depth < MAX_DEPTH) return fromScript(script.trim(), scripts, depth + 1)
  return { command: withoutTool(words), args: [] }
}

/**
 * The script that `npm start`, `npm run X` or `npm run-script X` would run, without further words; `yarn X` and `pnpm X` too, where it
 * is a script; else null.
 */
function delegated(words: readonly string[], scripts: Record<string, string>): string | null {
  const [program, verb, name] = words
  const isShort = program === 'yarn' || program === 'pnpm'
  if (program !== 'npm' && !isShort) return null
  if (words.length === 2 && verb !== undefined && (verb === 'start' || (isShort && scripts[verb] !== undefined)))
    return verb
  const isRun = words.length === 3 && (verb === 'run' || verb === 'run-script')
  return isRun && name !== undefined && !name.startsWith('-') ? name : null
}

/** A manager that only starts something else is left out: programs of dependencies are in PATH. */
function withoutTool(words: readonly string[]): string[] {
  const [program, verb, name] = words
  if (program === 'yarn' && verb === 'node') return words.slice(1)
  const isExec = (program === 'yarn' || program === 'pnpm') && verb === 'exec'
  return isExec && name !== undefined && !name.startsWith('-') ? words.slice(2) : [...words]
}

/** The words of a command line, or null when it needs a shell: metacharacters outside quotes, assignments before the program. */
export function splitWords(line: string): string[] | null {
  const words: string[] = []
  let word: string | null = null
  let quote: string | null = null
  for (const character of line) {
    if (quote !== null) {
      if (character === quote) quote = null
      else if (quote === '"' && /[$`\\!]/.test(character)) return null
      else word = (word ?? '') + character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (character === ' ' || character === '\t') {
      if (word !== null) words.push(word)
      word = null
    } else if (SHELL_CHARACTERS.test(character)) return null
    else word = (word ?? '') + character
  }
  if (quote !== null) return null
  if (word !== null) words.push(word)
  const [program] = words
  if (program === undefined || /^[A-Za-z_][A-Za-z0-9_]*=/.test(program) || SHELL_WORDS.includes(program)) return null
  return words
}

/** Programs that only exist inside a shell. */
const SHELL_WORDS = [
  'cd',
  'export',
  'exec',
  'source',
  '.',
  'set',
  'eval',
  'if',
  'for',
  'while',
  'ulimit',
  'umask',
  'unset',
  'trap',
]

/** Whether a line of a shell calls a program of that name. */
export function isCalledIn(line: string, name: string): boolean {
  return new RegExp(`(?:^|[\\s;&|(])${name}(?:[\\s;&|)]|$)`).test(line)
}
