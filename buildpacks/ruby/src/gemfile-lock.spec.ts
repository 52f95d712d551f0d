import { describe, expect, it } from 'vitest'
import { closure, parseGemfileLock } from './gemfile-lock.js'

const LOCK = `GIT
  remote: https://example.org/x.git
  revision: abc
  specs:
    ours (0.1.0)
      rack

PATH
  remote: engines/shop
  specs:
    shop (1.0)

GEM
  remote: https://rubygems.org/
  specs:
    mustermann (3.0.0)
      ruby2_keywords (~> 0.0.1)
    nokogiri (1.15.4-arm64-darwin)
      racc (~> 1.4)
    nokogiri (1.15.4-x86_64-linux)
      racc (~> 1.4)
    racc (1.6.2)
    rack (2.2.6.4)
    rspec (3.12.0.pre1)
    ruby2_keywords (0.0.5)
    sinatra (3.0.5)
      mustermann (~> 3.0)
      rack (~> 2.2, >= 2.2.4)

PLATFORMS
  arm64-darwin-22
  x86_64-linux

DEPENDENCIES
  nokogiri
  ours!
  rspec
  sinatra (~> 3.0)

RUBY VERSION
   ruby 3.1.2p20

BUNDLED WITH
   2.3.15
`

describe('a Gemfile.lock', () => {
  const lock = parseGemfileLock(LOCK)

  it('names gems with their version, platform and where they come from', () => {
    expect(lock.gems.map(({ name, version, platform, source }) => [name, version, platform, source])).toEqual([
      ['ours', '0.1.0', null, 'git'],
      ['shop', '1.0', null, 'path'],
      ['mustermann', '3.0.0', null, 'registry'],
      ['nokogiri', '1.15.4', 'arm64-darwin', 'registry'],
      ['nokogiri', '1.15.4', 'x86_64-linux', 'registry'],
      ['racc', '1.6.2', null, 'registry'],
      ['rack', '2.2.6.4', null, 'registry'],
      ['rspec', '3.12.0.pre1', null, 'registry'],
      ['ruby2_keywords', '0.0.5', null, 'registry'],
      ['sinatra', '3.0.5', null, 'registry'],
    ])
  })

  it('names what the Gemfile asks for, the platforms and the Bundler it was made with', () => {
    expect(lock.direct).toEqual(['nokogiri', 'ours', 'rspec', 'sinatra'])
    expect(lock.platforms).toEqual(['arm64-darwin-22', 'x86_64-linux'])
    expect(lock.bundledWith).toBe('2.3.15')
  })

  it('is the same with the line ends of Windows', () => {
    expect(parseGemfileLock(LOCK.replaceAll('\n', '\r\n'))).toEqual(lock)
  })

  it('says what a gem needs, itself and everything below it', () => {
    expect(closure(lock, ['sinatra']).map(({ name }) => name)).toEqual([
      'mustermann',
      'rack',
      'ruby2_keywords',
      'sinatra',
    ])
    expect(closure(lock, ['nokogiri', 'unknown']).map(({ name }) => name)).toEqual(['nokogiri', 'nokogiri', 'racc'])
    expect(closure(lock, [])).toEqual([])
  })

  it('of nothing is empty', () => {
    expect(parseGemfileLock('')).toEqual({ gems: [], direct: [], platforms: [], bundledWith: null })
  })
})
