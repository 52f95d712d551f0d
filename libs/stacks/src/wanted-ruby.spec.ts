import fc from 'fast-check'
import satisfies from 'semver/functions/satisfies.js'
import validRange from 'semver/ranges/valid.js'
import { describe, expect, it } from 'vitest'
import { askedRuby, gemClause, wantedRuby } from './wanted-ruby.js'

const gemfile = (line: string): [string, string][] => [
  ['Gemfile', `source 'https://rubygems.org'\n${line}\ngem 'puma'\n`],
]

describe('the Ruby an app asks for', () => {
  it.each<[files: [string, string][], range: string | null, source: string | null]>([
    [[], null, null],
    [[['.ruby-version', '3.1\n']], '3.1.x', '.ruby-version'],
    [[['.ruby-version', '# ours\nruby-3.1.2\n']], '3.1.2', '.ruby-version'],
    [[['.ruby-version', '3.3.8-p5']], '3.3.8', '.ruby-version'],
    [[['.ruby-version', 'jruby-9.4.2.0']], null, null],
    [gemfile("ruby '~> 3.1.0'"), '>=3.1.0 <3.2.0', 'Gemfile'],
    [gemfile('ruby "~> 3.1"'), '>=3.1.0 <4.0.0', 'Gemfile'],
    [gemfile('ruby("2.7.4")'), '2.7.4', 'Gemfile'],
    [gemfile('ruby "3.1"'), '3.1.0', 'Gemfile'],
    [gemfile('  ruby ">= 2.7", "< 3.2" # both'), '>=2.7.0 <3.2.0', 'Gemfile'],
    [gemfile("ruby ['>= 2.7', '!= 3.0.0']"), '>=2.7.0 <3.0.0 || >=2.7.0 >3.0.0', 'Gemfile'],
    [gemfile('ruby "3.1.2", patchlevel: "20"'), '3.1.2', 'Gemfile'],
    [gemfile('ruby "2.5.0", :engine => "jruby", :engine_version => "9.2"'), null, null],
    [gemfile('ruby ENV.fetch("RUBY")'), null, null],
    [gemfile("rubygems 'x'"), null, null],
    [[...gemfile('ruby file: ".ruby-version"'), ['.ruby-version', '3.3']], '3.3.x', '.ruby-version'],
    [
      [...gemfile("ruby file: '.tool-versions'"), ['.tool-versions', 'nodejs 22\nruby 2.7.4\n']],
      '2.7.4',
      '.tool-versions',
    ],
    [[...gemfile('ruby "~> 3.1.0"'), ['.ruby-version', '3.1.4']], '>=3.1.0 <3.2.0', 'Gemfile'],
    [
      [
        ['gems.rb', 'ruby "3.3.8"'],
        ['gems.locked', ''],
      ],
      '3.3.8',
      'gems.rb',
    ],
    [
      [
        ['Gemfile', 'gem "rack"'],
        ['Gemfile.lock', 'GEM\n\nRUBY VERSION\n   ruby 3.1.2p20\n'],
      ],
      '3.1.2',
      'Gemfile.lock',
    ],
  ])('of %j is %j, which %j says', (files, range, source) => {
    const wanted = wantedRuby(new Map(files))
    expect(wanted).toEqual(range === null ? null : { range, source })
    if (wanted !== null) expect(validRange(wanted.range)).not.toBeNull()
  })

  it('is told apart from nothing when it is no Ruby we know', () => {
    expect(askedRuby(new Map([['.ruby-version', 'truffleruby-23']]))).toEqual({
      text: 'truffleruby-23',
      range: null,
      source: '.ruby-version',
    })
  })
})

describe('an operator of RubyGems', () => {
  const number = fc.integer({ min: 0, max: 9 })
  const version = fc.tuple(number, number, number)
  const compare = (a: readonly number[], b: readonly number[]): number => {
    const place = [0, 1, 2].find((one) => (a[one] ?? 0) !== (b[one] ?? 0))
    return place === undefined ? 0 : (a[place] ?? 0) - (b[place] ?? 0)
  }

  it('lets in what RubyGems lets in, no more and no less', () => {
    const operators: Record<string, (have: number[], asked: number[]) => boolean> = {
      '=': (have, asked) => compare(have, asked) === 0,
      '!=': (have, asked) => compare(have, asked) !== 0,
      '>': (have, asked) => compare(have, asked) > 0,
      '>=': (have, asked) => compare(have, asked) >= 0,
      '<': (have, asked) => compare(have, asked) < 0,
      '<=': (have, asked) => compare(have, asked) <= 0,
      '~>': (have, asked) => {
        const kept = Math.max(1, asked.length - 1)
        return compare(have, asked) >= 0 && compare(have.slice(0, kept), asked.slice(0, kept)) <= 0
      },
    }
    const asked = fc.tuple(version, fc.integer({ min: 1, max: 3 })).map(([all, count]) => all.slice(0, count))
    fc.assert(
      fc.property(version, asked, fc.constantFrom(...Object.keys(operators)), (have, wanted, operator) => {
        const clause = gemClause(`${operator} ${wanted.join('.')}`)
        expect(satisfies(have.join('.'), (clause ?? []).join(' || '))).toBe(operators[operator]?.(have, wanted))
      }),
    )
  })

  it('that is none is no clause', () => {
    expect(gemClause('latest')).toBeNull()
    expect(gemClause('')).toBeNull()
  })
})
