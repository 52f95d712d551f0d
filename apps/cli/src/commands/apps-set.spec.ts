import { describe, expect, it } from 'vitest'
import { parseSettings, settingTexts } from './apps-set.js'

describe('apps:set', () => {
  it('takes seconds and sends milliseconds', () => {
    expect(parseSettings(['boot-timeout=5', 'grace=0.5'])).toEqual({ bootTimeoutMs: 5_000, graceMs: 500 })
  })
  it('shows what an app has as it is typed', () => {
    const typed = ['boot-timeout=5', 'grace=0.5', 'builder=dockerfile', 'buildpacks=./a,b/c', 'deploy-on-push=false']
    expect(settingTexts(parseSettings(typed))).toEqual(typed)
    expect(settingTexts({ drainMs: null, sourceDir: 'web', stack: 'debian-13' })).toEqual(['source-dir=web'])
  })
  it('goes back to the default with an empty value', () => {
    expect(parseSettings(['drain='])).toEqual({ drainMs: null })
    expect(parseSettings(['buildpacks='])).toEqual({ buildpacks: null })
  })
  it('takes a builder', () => {
    expect(parseSettings(['builder=dockerfile'])).toEqual({ builder: 'dockerfile' })
    expect(parseSettings(['builder=acme/builder:1'])).toEqual({ builder: 'acme/builder:1' })
    expect(parseSettings(['builder='])).toEqual({ builder: null })
  })
  it('takes buildpacks as a list', () => {
    expect(parseSettings(['buildpacks=https://host/x.git#v1, croft/procfile'])).toEqual({
      buildpacks: ['https://host/x.git#v1', 'croft/procfile'],
    })
  })
  it.each([
    ['source-dir=web/', 'web'],
    ['source-dir=./apps/web', 'apps/web'],
    ['source-dir=a=b', 'a=b'],
    ['source-dir=', null],
    ['source-dir=./', null],
  ])('%s is the folder %s', (pair, sourceDir) => expect(parseSettings([pair])).toEqual({ sourceDir }))
  it.each([
    'bogus=1',
    'toString=1',
    'source-dir',
    'source-dir=/',
    'buildpacks',
    'builder=docker',
    'grace',
    'grace=soon',
    'grace=-1',
  ])('refuses %s', (pair) => {
    expect(() => parseSettings([pair])).toThrow(/no setting|is not/)
  })
})
