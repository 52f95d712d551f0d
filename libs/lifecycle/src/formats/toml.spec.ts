import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { checkToml, lineInToml, TomlProblem } from './toml.js'

const schema = z.object({
  name: z.string().optional(),
  list: z.array(z.object({ id: z.string().optional(), size: z.number().optional() })).optional(),
  table: z.object({ inner: z.boolean() }).optional(),
})
const problem = (text: string): string => {
  try {
    checkToml(schema, text)
    return ''
  } catch (error) {
    return error instanceof TomlProblem ? error.message : String(error)
  }
}

describe('a document that cannot be used', () => {
  it.each<[string, string, RegExp]>([
    ['names the line that is no TOML', 'name = "x"\nname\n', /^line 2: not TOML: /],
    ['names the line of a wrong value, and the rule', '\nname = 5\n', /^line 2: name: .*expected string/],
    [
      'counts entries of a list',
      '[[list]]\nsize = 1\n[[list]]\nsize = "x"\n',
      /^line 4: list\.1\.size: .*expected number/,
    ],
    ['names the table of what is missing', 'name = "x"\n[table]\n', /^line 2: table\.inner: /],
    [
      'does not mistake a member of another table for what is missing',
      'name = "x"\n[[list]]\nid = "a"\n[[list]]\n\n[table]\nother = 1\nname = "y"\n',
      /^line 6: table\.inner: /,
    ],
    ['sees no member in a text of several lines', 'name = """\nlist = 5\n"""\nlist = 6\n', /^line 4: list: /],
    ['names no line when nothing of it is there', '', /^$/],
  ])('%s', (_rule, text, why) => {
    expect(problem(text)).toMatch(why)
  })
})

describe('the line of a member', () => {
  const text = 'a.b = 1\n"c d" = 2\n[[x]]\ny = 1\n[x.z]\nw = 1\n[[x]]\n[[x.v]]\nu = [\n "t",\n]\n[x."q.r"]\ns = 1\n'
  it.each<[(string | number)[], number | null]>([
    [['a', 'b'], 1],
    [['c d'], 2],
    [['x'], 3],
    [['x', 0], 3],
    [['x', 0, 'y'], 4],
    [['x', 0, 'z', 'w'], 6],
    [['x', 1], 7],
    [['x', 1, 'y'], 7],
    [['x', 1, 'v', 0, 'u', 0], 9],
    [['x', 1, 'q.r', 's'], 13],
    [['none'], null],
  ])('%j is %s', (path, line) => expect(lineInToml(text, path)).toBe(line))
})
