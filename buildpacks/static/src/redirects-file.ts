import { placeholderPattern } from './path-pattern.js'
import { mistake, STATUSES, type Place, type Rule, type Status } from './site.js'

/** `_redirects`, as Netlify reads it: `from [query...] to [status[!]] [condition...]` on each line. Pure. */

const WHERE_TO = 'write  /from /to 301'

/** @throws BuildFailure naming the line */
export function parseRedirects(text: string, file = '_redirects'): Rule[] {
  const rules: Rule[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const words = line
      .replace(/(^|\s)#.*$/, '')
      .split(/\s+/)
      .filter((word) => word !== '')
    if (words.length > 0) rules.push(ruleOf(words, { file, line: index + 1 }))
  }
  return rules
}

function ruleOf([from = '', ...words]: string[], where: Place): Rule {
  const query: Rule['query'] = []
  while (words[0] !== undefined && /^[\w-]+=/.test(words[0])) {
    const [name = '', value = ''] = (words.shift() ?? '').split('=', 2)
    if (!/^\w+$/.test(name))
      throw mistake(
        where,
        `the parameter ${name} has more than letters, digits and underscores in its name`,
        'use a path instead',
      )
    const as = value.startsWith(':') ? value.slice(1) : null
    if (as === null && !/^[\w.~%+-]*$/.test(value))
      throw mistake(where, `the parameter ${name} has a value that is not plain`, 'use letters and digits')
    query.push({ name, value: as === null ? value : null, as })
  }
  const target = words.shift()
  if (target === undefined) throw mistake(where, `${from} leads nowhere`, WHERE_TO)
  const { status, isForced } = statusOf(
    words[0] !== undefined && /^\d/.test(words[0]) ? (words.shift() ?? '') : '301',
    where,
  )
  const condition = words.shift()
  if (condition !== undefined) {
    throw mistake(
      where,
      `${JSON.stringify(condition)} is a condition, and only paths and parameters can be looked at here`,
      WHERE_TO,
    )
  }
  const origin = /^https?:\/\/([^/]+)(\/.*)?$/i.exec(from)
  const host = origin === null ? null : (origin[1] ?? '').toLowerCase()
  if (host !== null && !/^[a-z0-9.-]+(:\d+)?$/.test(host)) throw mistake(where, `${host} is no host`, WHERE_TO)
  const path = placeholderPattern(origin === null ? from : (origin[2] ?? '/'), where)
  const rule: Rule = {
    path,
    except: null,
    host: host?.replace(/:\d+$/, '') ?? null,
    query,
    target,
    status,
    isForced,
    where,
  }
  checkTarget(rule)
  return rule
}

function statusOf(word: string, where: Place): { status: Status; isForced: boolean } {
  const match = /^(\d{3})(!?)$/.exec(word)
  const status = STATUSES.find((known) => known === Number(match?.[1]))
  if (status === undefined) throw mistake(where, `${word} is none of ${STATUSES.join(', ')}`, 'take one of these')
  return { status, isForced: match?.[2] === '!' }
}

/** A target is a path, or for redirects a URL, and uses only what the pattern captured. @throws BuildFailure */
export function checkTarget({ target, status, path, query, where }: Rule): void {
  if (target === null) return
  const isUrl = /^https?:\/\//i.test(target)
  if (!isUrl && !target.startsWith('/'))
    throw mistake(where, `the target ${target} is neither a path nor a URL`, `write /${target}`)
  if (isUrl && (status === 200 || status === 404 || status === 410)) {
    throw mistake(
      where,
      `${target} is on another server, and a site cannot pass requests on`,
      'redirect there with status 302',
    )
  }
  const wrong = /["'$\\;{}\s]|[^\x21-\x7e\u0080-\uffff]/.exec(target)
  if (wrong !== null)
    throw mistake(where, `a target cannot have the character ${JSON.stringify(wrong[0])}`, 'write it as %24, %22, ...')
  const known = [...path.names, ...query.map(({ as }) => as)]
  const unknown = namesIn(target).find((name) => !known.includes(name))
  if (unknown !== undefined) throw mistake(where, `:${unknown} is in the target but not in the path`, 'name it in both')
}

/** The placeholders of a target; what follows `://` or a port is none. */
export function namesIn(target: string): string[] {
  return [...target.replace(/^https?:\/\/[^/]*/i, '').matchAll(/:([A-Za-z]\w*)/g)].map(([, name = '']) => name)
}
