import { describe, expect, it } from 'vitest'
import { withBuildRoots, withEnvFiles, withUserEnv } from './env.js'

describe('the files of an env folder', () => {
  it.each<[string, Record<string, string>, Record<string, string>, string | undefined]>([
    ['a name without suffix replaces', { A: 'old' }, { A: 'new' }, 'new'],
    ['override replaces', { A: 'old' }, { 'A.override': 'new' }, 'new'],
    ['prepend joins with nothing unless a delimiter is named', { A: 'old' }, { 'A.prepend': 'new' }, 'newold'],
    ['prepend uses the delimiter of its folder', { A: 'old' }, { 'A.prepend': 'new', 'A.delim': ':' }, 'new:old'],
    ['append uses it too', { A: 'old' }, { 'A.append': 'new', 'A.delim': ':' }, 'old:new'],
    ['a delimiter is not put beside an empty value', { A: '' }, { 'A.append': 'new', 'A.delim': ':' }, 'new'],
    ['default counts for a variable nobody set', {}, { 'A.default': 'new' }, 'new'],
    ['default counts for an empty variable', { A: '' }, { 'A.default': 'new' }, 'new'],
    ['default gives way to a value', { A: 'old' }, { 'A.default': 'new' }, 'old'],
    ['an unknown suffix is ignored', { A: 'old' }, { 'A.other': 'new' }, 'old'],
    ['a delimiter alone changes nothing', { A: 'old' }, { 'A.delim': ':' }, 'old'],
    ['nothing is trimmed', {}, { A: 'new\n' }, 'new\n'],
  ])('%s', (_rule, env, files, expected) => {
    expect(withEnvFiles(env, new Map(Object.entries(files)))['A']).toBe(expected)
  })

  it('means a default by a bare name when the operator says it', () => {
    expect(withEnvFiles({ A: 'old' }, new Map([['A', 'new']]), 'default')['A']).toBe('old')
  })
})

describe('the environment of a build', () => {
  it('puts a user value before path variables and over all others', () => {
    expect(withUserEnv({ PATH: '/bin', A: 'old' }, { PATH: '/mine', A: 'new', B: 'b' })).toEqual({
      PATH: '/mine:/bin',
      A: 'new',
      B: 'b',
    })
  })

  it('puts the folders of a build layer before their variables, those that are there', () => {
    expect(withBuildRoots({ PATH: '/bin' }, '/layers/x/y', new Set(['bin', 'lib', 'share']))).toEqual({
      PATH: '/layers/x/y/bin:/bin',
      LD_LIBRARY_PATH: '/layers/x/y/lib',
      LIBRARY_PATH: '/layers/x/y/lib',
    })
  })
})
