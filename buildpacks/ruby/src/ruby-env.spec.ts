import { describe, expect, it } from 'vitest'
import { releaseOfLibrary, rubyPaths } from './ruby-env.js'

describe('a relocated Ruby', () => {
  const paths = rubyPaths({ root: '/layers/croft_ruby/ruby', triplet: 'x86_64-linux-gnu', abi: '3.1.0' })

  it('finds everything below its layer', () => {
    const all = Object.values(paths).flat()
    expect(all.every((path) => path.startsWith('/layers/croft_ruby/ruby/'))).toBe(true)
    expect(paths['PATH']).toEqual(['/layers/croft_ruby/ruby/usr/bin'])
    expect(paths['RUBYLIB']).toContain('/layers/croft_ruby/ruby/usr/lib/x86_64-linux-gnu/ruby/3.1.0')
    expect(paths['GEM_PATH']).toContain('/layers/croft_ruby/ruby/usr/share/rubygems-integration/all')
  })

  it('looks for its own parts after those of packages, as Debian does', () => {
    const lib = paths['RUBYLIB'] ?? []
    expect(lib.findIndex((path) => path.endsWith('vendor_ruby'))).toBeLessThan(
      lib.findIndex((path) => path.endsWith('lib/ruby/3.1.0')),
    )
  })

  it('says its release by the name of its library', () => {
    expect(releaseOfLibrary(['libruby-3.1.so.3.1', 'libruby-3.1.so.3.1.2', 'libz.so.1'])).toBe('3.1.2')
    expect(releaseOfLibrary(['libz.so.1.2.13'])).toBeNull()
  })
})
