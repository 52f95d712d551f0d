import { describe, expect, it } from 'vitest'
import { joinTopic } from './argv.js'

describe('a topic and a verb as two words', () => {
  const verbs = new Set(['apps', 'apps:create', 'config', 'config:set', 'rollback'])
  it.each([
    [
      ['apps', 'create', 'shop'],
      ['apps:create', 'shop'],
    ],
    [
      ['apps:create', 'shop'],
      ['apps:create', 'shop'],
    ],
    [
      ['apps', '--json'],
      ['apps', '--json'],
    ],
    [['apps'], ['apps']],
    [
      ['rollback', 'v3'],
      ['rollback', 'v3'],
    ],
    [['--help'], ['--help']],
    [[], []],
  ])('%j is %j', (typed, meant) => {
    expect(joinTopic(typed, verbs)).toEqual(meant)
  })
})
