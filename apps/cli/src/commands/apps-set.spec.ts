import { describe, expect, it } from 'vitest'
import { parseSettings } from './apps-set.js'

describe('apps:set', () => {
  it('takes seconds and sends milliseconds', () => {
    expect(parseSettings(['boot-timeout=5', 'grace=0.5'])).toEqual({ bootTimeoutMs: 5_000, graceMs: 500 })
  })
  it('goes back to the default with an empty value', () => {
    expect(parseSettings(['drain='])).toEqual({ drainMs: null })
    expect(parseSettings(['buildpacks='])).toEqual({ buildpacks: null })
  })
  it.each(['bogus=1', 'grace', 'grace=soon', 'grace=-1'])('refuses %s', (pair) => {
    expect(() => parseSettings([pair])).toThrow(/no setting|is not/)
  })

  it('takes buildpacks as a list', () => {
    expect(parseSettings(['buildpacks=https://host/x.git#v1, croft/procfile'])).toEqual({
      buildpacks: ['https://host/x.git#v1', 'croft/procfile'],
    })
  })
})
