import { describe, expect, it } from 'vitest'
import { slicesOf } from './slices.js'

describe('slices of what classic buildpacks made', () => {
  it.each<[string, string[], string[], string[]]>([
    ['folders that are new', ['lib'], ['lib', 'node_modules', '.heroku'], ['.heroku', 'node_modules']],
    [
      'new folders in old ones',
      ['vendor', 'vendor/mine'],
      ['vendor', 'vendor/mine', 'vendor/bundle'],
      ['vendor/bundle'],
    ],
    ['not what lies in a new one', [], ['node_modules', 'node_modules/a'], ['node_modules']],
    ['not what was there', ['node_modules'], ['node_modules'], []],
    ['not the scripts of profiles', [], ['.profile.d', '.profile.d/x', 'bin'], ['bin']],
    ['patterns that match themselves only', [], ['a*[b'], ['a\\*\\[b']],
  ])('are %s', (_rule, before, after, expected) => {
    expect(slicesOf(before, after)).toEqual(expected)
  })
})
