import fc from 'fast-check'
import satisfies from 'semver/functions/satisfies.js'
import validRange from 'semver/ranges/valid.js'
import { describe, expect, it } from 'vitest'
import { composerRange, intersection } from './composer-constraint.js'
import { wantedPhp } from './wanted-php.js'

describe("Composer's constraint", () => {
  it.each([
    ['^8.2', '^8.2'],
    ['^8.2.5', '^8.2.5'],
    ['^7.4 || ^8.0', '^7.4 || ^8.0'],
    ['^7.4|^8.0', '^7.4 || ^8.0'],
    ['~8.2', '>=8.2.0 <9.0.0'],
    ['~8', '>=8.0.0 <9.0.0'],
    ['~8.2.3', '~8.2.3'],
    ['8.2.*', '8.2.x'],
    ['8.2.x', '8.2.x'],
    ['8.*', '8.x'],
    ['*', '*'],
    ['8.2', '8.2.0'],
    ['v8.2.1', '8.2.1'],
    ['8.2.1.0', '8.2.1'],
    ['=8.2.1', '8.2.1'],
    ['==8.2.1', '8.2.1'],
    ['>=7.4', '>=7.4.0'],
    ['>= 7.4', '>=7.4.0'],
    ['>7.4', '>7.4.0'],
    ['<=8.2', '<=8.2.0'],
    ['>=7.4,<8.3', '>=7.4.0 <8.3.0'],
    ['>=7.4 <8.3', '>=7.4.0 <8.3.0'],
    ['>=7.4 , <8.3', '>=7.4.0 <8.3.0'],
    ['>=7.4 *', '>=7.4.0'],
    ['7.4 - 8.2', '>=7.4.0 <8.3.0-0'],
    ['7.4.1 - 8.2.3', '>=7.4.1 <=8.2.3'],
    ['!=8.2.1', '<8.2.1 || >8.2.1'],
    ['^8.2 !=8.2.1', '^8.2 <8.2.1 || ^8.2 >8.2.1'],
    ['>=8.0@dev', '>=8.0.0'],
    ['>=8.4.0RC1', '>=8.4.0'],
    ['>=8.0-dev <9.0-dev', '>=8.0.0 <9.0.0'],
    ['>=8.4 <8.2', '<0.0.0-0'],
  ])('%s is the range %s', (constraint, range) => {
    expect(composerRange(constraint)).toBe(range)
    expect(validRange(range)).not.toBeNull()
  })

  it.each(['dev-master', '', ' ', '^', '8.2 ||', 'eight', '>=8.x.y', '!=8.*'])('%j means no versions', (constraint) => {
    expect(composerRange(constraint)).toBeNull()
  })

  const number = fc.integer({ min: 0, max: 12 })
  const version = fc.tuple(number, number, number).map((parts) => parts.join('.'))
  const term = fc.oneof(
    fc.tuple(fc.constantFrom('', '^', '~', '>', '>=', '<', '<=', '!=', '='), version).map((parts) => parts.join('')),
    fc.tuple(number, number).map(([major, minor]) => `${major}.${minor}.*`),
  )
  const constraint = fc
    .array(fc.array(term, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 })
    .map((alternatives) => alternatives.map((terms) => terms.join(' ')).join(' || '))

  it('holds for a version exactly when every term of one of its alternatives does', () => {
    fc.assert(
      fc.property(constraint, version, (text, candidate) => {
        const holds = text
          .split(' || ')
          .some((terms) => terms.split(' ').every((one) => satisfies(candidate, composerRange(one) ?? 'none')))
        expect(satisfies(candidate, composerRange(text) ?? 'none')).toBe(holds)
      }),
      { numRuns: 300 },
    )
  })

  it('and another hold together exactly where both do', () => {
    fc.assert(
      fc.property(constraint, constraint, version, (one, other, candidate) => {
        const [left, right] = [composerRange(one) ?? '', composerRange(other) ?? '']
        const both = intersection(left, right)
        expect(both !== null && satisfies(candidate, both)).toBe(
          satisfies(candidate, left) && satisfies(candidate, right),
        )
      }),
      { numRuns: 300 },
    )
  })
})

describe('the PHP an app asks for', () => {
  const wanted = (manifest: unknown, lock?: unknown): string => {
    const files = new Map([['composer.json', typeof manifest === 'string' ? manifest : JSON.stringify(manifest)]])
    if (lock !== undefined) files.set('composer.lock', JSON.stringify(lock))
    const found = wantedPhp(files)
    return found === null ? 'nothing' : `${found.range} by ${found.source}`
  }
  const asks = (php: string): object => ({ require: { php } })

  it.each<[string, unknown, unknown, string]>([
    ['nothing of it', {}, undefined, 'nothing'],
    ['require.php', asks('^8.2'), undefined, '^8.2 by composer.json'],
    ['the platform of the lock file', {}, { platform: { php: '7.4.*' } }, '7.4.x by composer.lock'],
    ['a lock file of PHP without a platform', asks('^8'), { platform: [], packages: [] }, '^8 by composer.json'],
    [
      'the release line it was resolved for, before all else',
      { ...asks('>=7.4'), config: { platform: { php: '7.4.33' } } },
      undefined,
      '7.4.x by config.platform.php of composer.json',
    ],
    [
      'no more than its locked packages can do',
      asks('>=7.4'),
      { packages: [asks('^7.2 || ^8.0'), {}, asks('>=7.1 <8.4'), asks('*')] },
      '>=7.4.0 ^7.2 || ^8.0 >=7.1.0 <8.4.0 by composer.json',
    ],
    [
      'what it says, against a package that contradicts it',
      asks('^8.2'),
      { packages: [asks('^7.2')] },
      '^8.2 by composer.json',
    ],
    ['nothing that can be read', '{', undefined, 'nothing'],
    ['no version', asks('dev-master'), undefined, 'nothing'],
    ['a list', [], undefined, 'nothing'],
  ])('is %s', (_what, manifest, lock, expected) => {
    expect(wanted(manifest, lock)).toBe(expected)
  })
})
