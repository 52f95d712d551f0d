import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DockerIgnoreError, parseDockerIgnore } from './docker-ignore.js'

const ignored = (text: string, path: string): boolean => parseDockerIgnore(text).isIgnored(path)

describe('.dockerignore', () => {
  it.each<[pattern: string, path: string, isIgnored: boolean]>([
    ['node_modules', 'node_modules', true],
    ['node_modules', 'node_modules/a/b.js', true],
    ['node_modules', 'web/node_modules', false],
    ['**/node_modules', 'web/node_modules/a', true],
    ['**/node_modules', 'node_modules', true],
    ['**/*.log', 'a/b/c.log', true],
    ['*.log', 'a.log', true],
    ['*.log', 'a/b.log', false],
    ['*/temp*', 'some/temporary.txt', true],
    ['*/temp*', 'some/temp/file', true],
    ['*/*/temp*', 'some/temp', false],
    ['temp?', 'tempa', true],
    ['temp?', 'temp', false],
    ['temp?', 'temp/', false],
    ['a[0-9].txt', 'a7.txt', true],
    ['a[^0-9].txt', 'a7.txt', false],
    ['a[^0-9].txt', 'ax.txt', true],
    ['/build', 'build/out', true],
    ['./build/', 'build/out', true],
    ['a/../build', 'build', true],
    ['docs/**', 'docs/a/b', true],
    ['docs/**', 'docs', false],
    ['docs/**/x', 'docs/x', true],
    ['docs/**/x', 'docs/a/b/x', true],
    ['**', 'anything/at/all', true],
    ['a.b', 'axb', false],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['(x)', '(x)', true],
    ['# note', '# note', false],
    ['  spaced  ', 'spaced', true],
    ['', 'a', false],
  ])('%j on %j: %s', (pattern, path, isIgnored) => {
    expect(ignored(pattern, path)).toBe(isIgnored)
  })

  it('obeys the last pattern that matches', () => {
    const text = '*.md\n!README*.md\nREADME-secret.md\n'
    expect(['a.md', 'README.md', 'README-secret.md'].map((path) => ignored(text, path))).toEqual([true, false, true])
    expect(ignored('*\n!src\n', 'src/deep/file')).toBe(false)
    expect(ignored('*\n!src\n', 'other/file')).toBe(true)
  })

  it('says whether an ignored folder has to be looked into', () => {
    expect(parseDockerIgnore('*\n').mayTakeBack).toBe(false)
    expect(parseDockerIgnore('*\n!a/b\n').mayTakeBack).toBe(true)
  })

  it('names the line of what is no pattern', () => {
    expect(() => parseDockerIgnore('a\n[b\n')).toThrow(new DockerIgnoreError(2, '[b'))
    expect(() => parseDockerIgnore('a[z-a]\n')).toThrow(DockerIgnoreError)
  })

  it('matches a name that it spells out, whatever is in it, and all below', () => {
    const name = fc
      .string({ minLength: 1, maxLength: 12, unit: 'grapheme-ascii' })
      .filter((text) => /^[^/\s.][^/]*[^/\s]$/.test(text))
    fc.assert(
      fc.property(name, (text) => {
        const pattern = `/${text.replaceAll(/[*?[\]\\]/g, '\\$&')}`
        expect(ignored(pattern, text)).toBe(true)
        expect(ignored(pattern, `${text}/below`)).toBe(true)
        expect(ignored(pattern, `x${text}`)).toBe(false)
      }),
    )
  })
})
