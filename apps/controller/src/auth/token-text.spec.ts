import { describe, expect, it } from 'vitest'
import { looksLikeToken, mintToken } from './token-text.js'

describe('a token', () => {
  it('looks like one, and never twice the same', () => {
    const tokens = Array.from({ length: 200 }, () => mintToken())
    expect(new Set(tokens).size).toBe(200)
    expect(tokens.every((token) => /^croft_[0-9A-Za-z]{40}$/.test(token) && looksLikeToken(token))).toBe(true)
  })
  it('does not look like one with a character changed or left out', () => {
    const token = mintToken()
    const other = token[10] === 'x' ? 'y' : 'x'
    expect(looksLikeToken(token.slice(0, 10) + other + token.slice(11))).toBe(false)
    expect(looksLikeToken(token.slice(0, -1))).toBe(false)
    expect(looksLikeToken(token.replace('croft_', 'other_'))).toBe(false)
  })
})
