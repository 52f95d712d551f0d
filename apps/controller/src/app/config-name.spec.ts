import { describe, expect, it } from 'vitest'
import { checkConfig, checkConfigSize, InvalidConfigVar } from './config-name.js'

describe('config vars', () => {
  it.each(['DATABASE_URL', 'a', '_x9', 'CROFTERS', 'constructor'])('may be named %s', (name) => {
    expect(() => checkConfig({ [name]: '' })).not.toThrow()
  })
  it.each(['', '9X', 'A-B', 'A B', 'A=B', 'Ä', 'PORT', 'CROFT_APP', 'A\n', 'x'.repeat(129), '__proto__'])(
    'may not be named %j',
    (name) => {
      expect(() => checkConfig(JSON.parse(`{${JSON.stringify(name)}:"1"}`) as Record<string, string>)).toThrow(
        InvalidConfigVar,
      )
    },
  )
  it('are refused together, each named with its reason, and no value is shown', () => {
    expect.assertions(2)
    try {
      checkConfig({ PORT: 'canary-1', '1A': 'canary-2', OK: 'canary-3', NUL: 'canary\0' })
    } catch (error) {
      expect(Object.keys((error as InvalidConfigVar).fields ?? {})).toEqual(['PORT', '1A', 'NUL'])
      expect(JSON.stringify(error) + String(error)).not.toContain('canary')
    }
  })
  it('may be 64 KiB in all and not more', () => {
    expect(() => checkConfigSize({ A: 'x'.repeat(65_533) })).not.toThrow()
    expect(() => checkConfigSize({ A: 'x'.repeat(65_534) })).toThrow('65537 bytes')
    expect(() => checkConfigSize({ A: 'ä'.repeat(32_767) })).toThrow(InvalidConfigVar)
  })
})
