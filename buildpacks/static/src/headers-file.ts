import { placeholderPattern } from './path-pattern.js'
import { mistake, type HeaderRule, type Place } from './site.js'

/** `_headers`, as Netlify reads it: a path, and indented below it the headers of its answers. Pure. */

/** @throws BuildFailure naming the line */
export function parseHeaders(text: string, file = '_headers'): HeaderRule[] {
  const rules: HeaderRule[] = []
  let path: HeaderRule['path'] | null = null
  let block: HeaderRule[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const where = { file, line: index + 1 }
    if (/^\s*(#.*)?$/.test(line)) continue
    if (!/^\s/.test(line)) {
      path = placeholderPattern(line.trim(), where)
      block = []
      continue
    }
    if (path === null)
      throw mistake(where, 'a header without a path above it', 'begin with a path in the first column, e.g.  /*')
    const { name, value } = headerOf(line.trim(), where)
    const same = block.find((rule) => rule.name.toLowerCase() === name.toLowerCase())
    if (same !== undefined) same.value = `${same.value}, ${value}`
    else block.push({ path, name, value, where })
    if (same === undefined) rules.push(block.at(-1) as HeaderRule)
  }
  return rules
}

function headerOf(line: string, where: Place): { name: string; value: string } {
  const match = /^([^:\s]+)\s*:\s*(.*)$/.exec(line)
  if (match === null) throw mistake(where, `${JSON.stringify(line)} is no header`, 'write  Name: value')
  return checkedHeader(match[1] ?? '', match[2] ?? '', where)
}

/** @throws BuildFailure for what cannot be sent, or would break the answer */
export function checkedHeader(name: string, value: string, where: Place): { name: string; value: string } {
  if (!/^[A-Za-z0-9-]+$/.test(name))
    throw mistake(where, `${JSON.stringify(name)} is no name of a header`, 'use letters, digits and dashes')
  if (OURS.includes(name.toLowerCase())) throw mistake(where, `the header ${name} is the server's own`, 'take it out')
  if (/[^\x20-\x7e]|\$/.test(value))
    throw mistake(where, `the value of ${name} has a character that cannot be sent, or a dollar sign`, 'take it out')
  return { name, value }
}

const OURS = [
  'connection',
  'content-encoding',
  'content-length',
  'date',
  'etag',
  'last-modified',
  'server',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
