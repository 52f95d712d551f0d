import { describe, expect, it } from 'vitest'
import { parseIgnoreFile } from './ignore-file.js'

describe('.croftignore', () => {
  it.each([
    ['*.log', 'a/b/x.log', true],
    ['*.log', 'x.log.txt', false],
    ['/docs', 'docs/index.md', true],
    ['/docs', 'src/docs/index.md', false],
    ['docs/', 'src/docs/index.md', true],
    ['docs/', 'docs', false],
    ['src/*.js', 'src/a.js', true],
    ['src/*.js', 'src/lib/a.js', false],
    ['src/**/a.js', 'src/x/y/a.js', true],
    ['src/**/a.js', 'src/a.js', true],
    ['**/node_modules', 'a/node_modules/b', true],
    ['vendor/**', 'vendor/a/b', true],
    ['vendor/**', 'vendor', false],
    ['# comment', '# comment', false],
    ['\\#file', '#file', true],
    ['a?c', 'abc', true],
    ['a[0-9]', 'a5', true],
    ['a[!0-9]', 'a5', false],
    ['a[z-a]', 'am', false],
    ['a.b', 'axb', false],
    ['(x|y)+', '(x|y)+', true],
    ['trailing   ', 'trailing', true],
  ])('%j and %j: %s', (pattern, path, expected) => {
    expect(parseIgnoreFile(pattern)(path, false)).toBe(expected)
  })
  it('lets the last rule win, but nothing escape an ignored folder', () => {
    const isIgnored = parseIgnoreFile('*.md\n!README.md\nold/\n!old/keep.md')
    expect(isIgnored('a.md', false)).toBe(true)
    expect(isIgnored('README.md', false)).toBe(false)
    expect(isIgnored('old/keep.md', false)).toBe(true)
  })
  it('decides a hostile pattern quickly', () => {
    const isIgnored = parseIgnoreFile(`${'*a'.repeat(100)}b\n${'**/'.repeat(100)}x`)
    const started = performance.now()
    isIgnored('a'.repeat(200), false)
    isIgnored(`${'a/'.repeat(200)}y`, false)
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})
