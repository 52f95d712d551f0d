import { describe, expect, it } from 'vitest'
import { gemsKey, type GemsInputs } from './gems-key.js'

describe('the key of the gems', () => {
  const inputs: GemsInputs = {
    texts: { Gemfile: "gem 'puma'", 'Gemfile.lock': null },
    vendored: ['rack-2.2.22.gem 100', 'puma-5.6.5.gem 200'],
    rubyVersion: '3.1.2',
    bundlerVersion: '2.3.15',
    without: 'development:test',
    platform: 'debian-12-x64',
  }

  it('is the same for the same inputs in any order', () => {
    const turned = {
      ...inputs,
      texts: Object.fromEntries(Object.entries(inputs.texts).toReversed()),
      vendored: inputs.vendored.toReversed(),
    }
    expect(gemsKey(turned)).toBe(gemsKey(inputs))
  })

  it.each<[string, Partial<GemsInputs>]>([
    ['the Gemfile', { texts: { ...inputs.texts, Gemfile: "gem 'thin'" } }],
    ['a lock file', { texts: { ...inputs.texts, 'Gemfile.lock': 'GEM' } }],
    ['a vendored gem', { vendored: [...inputs.vendored, 'x-1.gem 1'] }],
    ['Ruby', { rubyVersion: '3.3.8' }],
    ['Bundler', { bundlerVersion: '2.6.7' }],
    ['the groups', { without: '' }],
    ['the stack', { platform: 'debian-13-x64' }],
  ])('changes with %s', (_what, change) => {
    expect(gemsKey({ ...inputs, ...change })).not.toBe(gemsKey(inputs))
  })
})
