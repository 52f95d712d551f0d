import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareVersions, fulfils, parseVersion, type Version } from './pep440.js'

const version = (text: string): Version => {
  const parsed = parseVersion(text)
  if (parsed === null) throw new Error(text)
  return parsed
}

describe('versions of Python packages', () => {
  it('are in the order of PEP 440', () => {
    const ordered = [
      '1.0.dev1',
      '1.0a1',
      '1.0a2.dev3',
      '1.0a2',
      '1.0b1',
      '1.0rc1',
      '1.0rc2',
      '1.0',
      '1.0.post1.dev2',
      '1.0.post1',
      '1.0.1',
      '1.1.dev1',
      '1.1',
      '10.0',
      '1!0.1',
    ]
    for (const [place, one] of ordered.entries()) {
      for (const [other, two] of ordered.entries()) {
        expect(Math.sign(compareVersions(version(one), version(two))), `${one} and ${two}`).toBe(
          Math.sign(place - other),
        )
      }
    }
  })

  it.each([
    ['1.0', '1.0.0'],
    ['1.0-alpha.1', '1.0a1'],
    ['1.0c1', '1.0rc1'],
    ['v1.0', '1'],
    ['1.0-1', '1.0.post1'],
    ['2022.7.1', '2022.07.1'],
  ])('%s is %s', (one, other) => expect(compareVersions(version(one), version(other))).toBe(0))

  it.each(['', 'latest', '1.x', '1..2', '1.0+', '1.0 2'])('%j is none', (text) => expect(parseVersion(text)).toBeNull())
})

describe('conditions on versions', () => {
  it.each<[version: string, specifiers: string, holds: boolean | null]>([
    ['2.2.2', '', true],
    ['2.2.2', '>=2.0,<3', true],
    ['2.2.2', '>=2.0, <2.2', false],
    ['2.2.2', '==2.2.2', true],
    ['2.2.2', '==2.2', false],
    ['2.2', '==2.2.0', true],
    ['2.2.2', '==2.2.*', true],
    ['2.3', '==2.2.*', false],
    ['2.2.2', '!=2.2.*', false],
    ['2.2.2', '!=2.2.1', true],
    ['2.2.2', '~=2.2', true],
    ['2.2.2', '~=2.2.0', true],
    ['2.3.0', '~=2.2.0', false],
    ['3.0', '~=2.2', false],
    ['2.2.2', '===2.2.2', true],
    ['1.7.post1', '>1.7', false],
    ['1.7.1', '>1.7', true],
    ['1.7rc1', '<1.7', false],
    ['1.6', '<1.7', true],
    ['3.2.25', '>=3.2,!=3.2.19', true],
    ['1.0+deb1', '==1.0', true],
    ['1.0', '~=1', null],
    ['1.0', '1.0', null],
    ['1.0', '=>1.0', null],
    ['unknown', '>=1', null],
  ])('%s against %j: %j', (have, specifiers, holds) => expect(fulfils(have, specifiers)).toBe(holds))

  it('a version fulfils itself, and is on one side of every other', () => {
    const number = fc.integer({ min: 0, max: 3 })
    const any = fc.array(number, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('.'))
    fc.assert(
      fc.property(any, any, (one, other) => {
        expect(fulfils(one, `==${one},>=${one},<=${one}`)).toBe(true)
        expect([`<${other}`, `==${other}`, `>${other}`].filter((part) => fulfils(one, part)).length).toBe(1)
        expect(fulfils(one, `!=${other}`)).toBe(fulfils(one, `==${other}`) !== true)
      }),
    )
  })
})
