import { describe, expect, it } from 'vitest'
import { HOST_REACH } from '@croft/protocol'
import { ignoredOf, wishesOf } from './build-wishes.js'

const project = (lines: string): [string, string] => [
  'project.toml',
  `[_]\nschema-version = "0.2"\n[io.buildpacks]\n${lines}\n`,
]
const RULES = { sources: ['https://'], team: 'web', reach: { ...HOST_REACH, npmRegistry: 'https://npm.corp/' } }
const files = (...entries: [string, string][]): Map<string, string> => new Map(entries)

describe('what an app wants of its build', () => {
  const all = files(
    ['.buildpacks', 'https://host/file.git#v1\n'],
    project('[[io.buildpacks.group]]\nid = "a"\n[[io.buildpacks.build.env]]\nname = "A"\nvalue = "b"'),
  )

  it.each<[string, Map<string, string>, string[], string, unknown]>([
    ['its setting counts first', all, ['b@1', './c'], "the app's setting", [{ id: 'b' }, { path: 'c' }]],
    ['then .buildpacks', all, [], '.buildpacks', [{ url: 'https://host/file.git', ref: 'v1' }]],
    ['then project.toml', files(project('[[io.buildpacks.group]]\nid = "a"')), [], 'project.toml', [{ id: 'a' }]],
  ])('%s', (_rule, given, setting, from, group) => {
    expect(wishesOf(given, setting, RULES)).toMatchObject({ from, group })
  })

  it('is nothing when nothing says so, and nothing of a file that is broken', () => {
    const nothing = { group: null, from: '', pre: [], post: [], env: {}, ...RULES }
    expect(wishesOf(files(), [], RULES)).toEqual(nothing)
    expect(wishesOf(files(['project.toml', '[['], ['.buildpacks', '??']), [], RULES)).toEqual(nothing)
  })

  it('holds build-time variables of project.toml whoever names the buildpacks', () => {
    expect(wishesOf(all, ['b'], RULES).env).toEqual({ A: 'b' })
  })
})

describe('what is no part of an app', () => {
  const kept = (given: Map<string, string>): string => {
    const isIgnored = ignoredOf(given)
    return ['app.js', 'cmd/main.go', 'docs/a.md', 'go.mod', 'spec/x.rb']
      .filter((path) => !isIgnored(path, false))
      .join(' ')
  }
  it.each<[string, Map<string, string>, string]>([
    ['nothing without a file that says so', files(), 'app.js cmd/main.go docs/a.md go.mod spec/x.rb'],
    ['what .croftignore names', files(['.croftignore', 'docs/\n']), 'app.js cmd/main.go go.mod spec/x.rb'],
    ['what .slugignore names', files(['.slugignore', '/spec\n']), 'app.js cmd/main.go docs/a.md go.mod'],
    ['what project.toml excludes', files(project('exclude = ["spec/", "*.md"]')), 'app.js cmd/main.go go.mod'],
    ['all but what project.toml includes', files(project('include = ["cmd/", "go.*"]')), 'cmd/main.go go.mod'],
    [
      'what is included and ignored',
      files(project('include = ["cmd/", "docs/"]'), ['.croftignore', 'docs']),
      'cmd/main.go',
    ],
    ['all of it, when nothing is included', files(project('include = []')), ''],
  ])('%s', (_what, given, expected) => {
    expect(kept(given)).toBe(expected)
  })
})
