import { describe, expect, it } from 'vitest'
import { debianPackage, describeDisagreements, disagreements, newestOf, presentGems } from './debian-gems.js'
import type { LockedGem } from './gemfile-lock.js'

const gem = (name: string, version: string, more: Partial<LockedGem> = {}): LockedGem => ({
  name,
  version,
  platform: null,
  dependencies: [],
  source: 'registry',
  ...more,
})

describe('a gem as a Debian package', () => {
  it.each([
    ['sinatra', 'ruby-sinatra'],
    ['mini_mime', 'ruby-mini-mime'],
    ['RedCloth', 'ruby-redcloth'],
    ['concurrent-ruby', 'ruby-concurrent'],
    ['puma', 'puma'],
  ])('%s is %s', (name, expected) => expect(debianPackage(name)).toBe(expected))
})

describe('the gems that are there', () => {
  it('are read from the names of their specifications', () => {
    const present = presentGems([
      'rack-2.2.22.gemspec',
      'rack-test-2.0.2.gemspec',
      'nio4r-2.5.8-x86_64-linux.gemspec',
      'rspec-3.12.0.pre1.gemspec',
      'rack-3.0.8.gemspec',
      'x.txt',
    ])
    expect([...present].map(([name, versions]) => [name, ...versions])).toEqual([
      ['rack', '2.2.22', '3.0.8'],
      ['rack-test', '2.0.2'],
      ['nio4r', '2.5.8'],
      ['rspec', '3.12.0.pre1'],
    ])
  })

  it('agree with a lock file only in the very version', () => {
    const present = presentGems(['rack-2.2.22.gemspec', 'sinatra-3.0.5.gemspec', 'nokogiri-1.13.10.gemspec'])
    const locked = [
      gem('rack', '2.2.22'),
      gem('sinatra', '3.0.6'),
      gem('falcon', '0.42'),
      gem('nokogiri', '1.13.10', { platform: 'x86_64-linux' }),
      gem('nokogiri', '1.13.10', { platform: 'arm64-darwin' }),
      gem('shop', '1.0', { source: 'path' }),
    ]
    expect(describeDisagreements(disagreements(locked, present))).toBe(
      'sinatra 3.0.6 (there is 3.0.5), falcon 0.42 (there is none)',
    )
    expect(disagreements([gem('rack', '2.2.22')], present)).toEqual([])
  })

  it.each([
    [['2.3.7', '2.3.15'], '2.3.15'],
    [['2.6.7', '2.5.22'], '2.6.7'],
    [['1.0', '1.0.1'], '1.0.1'],
    [[], undefined],
  ])('of %j the newest is %j', (versions, newest) => expect(newestOf(versions)).toBe(newest))

  it('that differ in many places are told in a few', () => {
    const many = Array.from({ length: 7 }, (_, number) => gem(`g${number}`, '1.0'))
    expect(describeDisagreements(disagreements(many, new Map()))).toMatch(/^g0 1\.0 .* and 3 more$/)
  })
})
