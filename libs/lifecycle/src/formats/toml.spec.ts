import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { checkToml, TomlProblem } from './toml.js'

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
    ['names no line when nothing of it is there', '', /^$/],
  ])('%s', (_rule, text, why) => {
    expect(problem(text)).toMatch(why)
  })
})
