import { describe, expect, it } from 'vitest'
import { parseRegistryUrl } from './registry-url.js'

describe('the address of a registry to publish in', () => {
  it.each<[string, string, string, string]>([
    ['https://registry.example', 'https://registry.example', 'registry.example', 'croft'],
    ['https://registry.example:5000/', 'https://registry.example:5000', 'registry.example:5000', 'croft'],
    ['https://registry.example/team/web_1/', 'https://registry.example', 'registry.example', 'team/web_1'],
    ['http://localhost:5000/x', 'http://localhost:5000', 'localhost:5000', 'x'],
    ['http://127.0.0.1:5000', 'http://127.0.0.1:5000', '127.0.0.1:5000', 'croft'],
    ['http://[::1]:5000', 'http://[::1]:5000', '[::1]:5000', 'croft'],
  ])('%s is read', (text, origin, host, prefix) => {
    expect(parseRegistryUrl(text)).toEqual({ origin, host, prefix })
  })

  it.each<[string, RegExp]>([
    ['registry.example/croft', /is no registry/],
    ['ftp://registry.example', /is no registry/],
    ['', /is no registry/],
    ['https://me:secret@registry.example', /^credentials are no part of the address/],
    ['https://registry.example/a?b=c', /nothing may follow/],
    ['https://registry.example/Team', /lower-case/],
    ['https://registry.example/a//b', /single separators/],
    ['http://registry.example', /without encryption/],
  ])('%j is refused', (text, why) => {
    expect(() => parseRegistryUrl(text)).toThrow(why)
  })

  it('may be plain elsewhere where somebody says so', () => {
    expect(parseRegistryUrl('http://registry.example', true).origin).toBe('http://registry.example')
  })
})
