import { describe, expect, it } from 'vitest'
import { sliceApp, type AppEntry } from './slices.js'

/** An app as paths; those that end in a slash are folders. */
const app = (...paths: string[]): AppEntry[] =>
  paths.map((path) => ({ path: path.replace(/\/$/, ''), isDirectory: path.endsWith('/') }))
const entries = app(
  '.hidden.txt',
  'index.js',
  'static/',
  'static/assets/',
  'static/assets/config.txt',
  'static/assets/logo.svg',
  'static/misc/',
  'static/misc/resources/',
  'static/misc/resources/reports/',
  'static/misc/resources/reports/numbers.csv',
  'static/misc/resources/reports/report.tps',
  'vendor/',
  'vendor/a/',
  'vendor/a/x',
  'with[brackets]/',
  'with[brackets]/file',
)
const slice = (...lists: string[][]): string[][] =>
  sliceApp(
    entries,
    lists.map((paths) => ({ paths })),
  )

describe('the slices of an app', () => {
  it.each<[string, string[][], string[][]]>([
    ['none without slices', [], []],
    ['a file by its name', [['index.js']], [['index.js']]],
    ['a folder with all of its subtree', [['static/assets']], [['static/assets']]],
    ['a star does not cross a slash', [['static/*']], [['static/assets', 'static/misc']]],
    [
      'a pattern matches a deep file',
      [['static/misc/resources/*/*.csv']],
      [['static/misc/resources/reports/numbers.csv']],
    ],
    ['two stars are no more than one', [['static/**/numbers.csv']], [[]]],
    ['several patterns make one slice', [['*.js', '.hidden.txt']], [['.hidden.txt', 'index.js']]],
    [
      'what an earlier slice took is gone',
      [['static/misc'], ['static/misc/resources', 'index.js']],
      [['static/misc'], ['index.js']],
    ],
    [
      'an earlier slice may take a part of a later one',
      [['static/assets/*.svg'], ['static']],
      [['static/assets/logo.svg'], ['static']],
    ],
    ['a trailing slash changes nothing', [['vendor/']], [['vendor']]],
    ['a dot before it changes nothing', [['./vendor']], [['vendor']]],
    ['nothing outside the app is reached', [['../*', '/etc/passwd']], [[]]],
    ['a bracket can be quoted', [['with\\[brackets\\]']], [['with[brackets]']]],
    ['a pattern that matches nothing is an empty slice', [['nosuch'], ['vendor']], [[], ['vendor']]],
  ])('%s', (_rule, lists, expected) => {
    expect(slice(...lists)).toEqual(expected)
  })

  it('names a pattern that is malformed', () => {
    expect(() => slice(['vendor['])).toThrow('has the pattern "vendor[", which is malformed')
  })
})
