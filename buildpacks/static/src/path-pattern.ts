import { mistake, type PathPattern, type Place } from './site.js'

/** Paths with wildcards, in the two notations that files have. Pure. */

const literal = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

/**
 * A glob: `*` is anything in one part of a path, `**` anything at all. A slash at the end makes no difference.
 * @throws BuildFailure
 */
export function globPattern(glob: string, where: Place): PathPattern {
  if (!glob.startsWith('/'))
    throw mistake(where, `${JSON.stringify(glob)} is no path: it does not begin with a slash`, `write /${glob}`)
  checkCharacters(glob, where)
  const source = glob
    .replace(/(?<=.)\/+$/, '')
    .split(/(\*\*|\*)/)
    .map((part) => (part === '**' ? '.*' : part === '*' ? '[^/]*' : literal(part)))
    .join('')
  return { regex: `^${source}${glob.endsWith('*') || glob === '/' ? '' : '/?'}$`, names: [] }
}

/**
 * A path with placeholders: `:name` is one part of it, `*` at the end all the rest, which the target calls `:splat`. A slash at
 * the end makes no difference. @throws BuildFailure
 */
export function placeholderPattern(path: string, where: Place): PathPattern {
  if (!path.startsWith('/'))
    throw mistake(where, `${JSON.stringify(path)} is no path: it does not begin with a slash`, `write /${path}`)
  checkCharacters(path, where)
  if (/\*./.test(path))
    throw mistake(where, 'a star can only stand at the end of a path', 'write :name for one part in the middle')
  const names: string[] = []
  const parts = path.split('/').filter((part) => part !== '')
  const rest = parts.at(-1) === '*' ? parts.pop() : undefined
  if (parts.some((part) => part.endsWith('*')))
    throw mistake(where, 'a star stands for whole parts of a path', 'put a slash before it')
  const source = parts.map((part) => {
    if (!part.startsWith(':')) return `/${literal(part)}`
    const name = part.slice(1)
    if (!/^[A-Za-z]\w*$/.test(name))
      throw mistake(where, `${part} is no placeholder: letters, digits and underscores`, 'rename it')
    names.push(name)
    return '/([^/]+)'
  })
  if (rest !== undefined) names.push('splat')
  const end = rest === undefined ? '/?' : '(?:/(.*))?'
  return { regex: `^${source.join('')}${end}$`, names }
}

function checkCharacters(path: string, where: Place): void {
  const wrong = /["'$\\;{}\s]|[^\x21-\x7e\u0080-\uffff]/.exec(path)
  if (wrong !== null)
    throw mistake(where, `a path cannot have the character ${JSON.stringify(wrong[0])}`, 'take it out')
}
