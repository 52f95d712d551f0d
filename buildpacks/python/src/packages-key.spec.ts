import { describe, expect, it } from 'vitest'
import { packagesKey, type PackagesInputs } from './packages-key.js'

describe('the key of the packages', () => {
  const inputs: PackagesInputs = {
    texts: new Map([['requirements.txt', 'flask']]),
    wheels: ['a.whl 1'],
    added: ['gunicorn'],
    pythonVersion: '3.11.2',
    settings: { PIP_INDEX_URL: 'https://example.org' },
    platform: 'debian-12-x64',
  }

  it('is the same for the same inputs', () => expect(packagesKey({ ...inputs })).toBe(packagesKey(inputs)))

  it.each<[string, Partial<PackagesInputs>]>([
    ['a requirement', { texts: new Map([['requirements.txt', 'django']]) }],
    ['a wheel', { wheels: [] }],
    ['the server', { added: [] }],
    ['Python', { pythonVersion: '3.13.5' }],
    ['the index', { settings: {} }],
    ['the stack', { platform: 'debian-13-x64' }],
  ])('changes with %s', (_what, change) => {
    expect(packagesKey({ ...inputs, ...change })).not.toBe(packagesKey(inputs))
  })
})
