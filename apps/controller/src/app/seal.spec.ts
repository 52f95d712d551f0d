import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { SealBroken, seal, unseal } from './seal.js'

const key = randomBytes(32)
const open = (sealed: Parameters<typeof unseal>[0], context = 'app/NAME', with_ = key): string =>
  unseal(sealed, with_, context, 'NAME').toString()

describe('a sealed value', () => {
  it.each(['', 'secret', 'ünïcode\n', 'x'.repeat(100_000)])('opens to what was sealed', (plain) => {
    expect(open(seal(Buffer.from(plain), key, 'k', 'app/NAME'))).toBe(plain)
  })
  it('is another one each time, though the plain text is the same', () => {
    const [first, second] = [0, 1].map(() => seal(Buffer.from('same'), key, 'k', 'app/NAME'))
    expect(first?.ciphertext).not.toBe(second?.ciphertext)
    expect(first?.nonce).not.toBe(second?.nonce)
  })
  it('is refused with any one bit flipped, in ciphertext, tag or nonce', () => {
    const sealed = seal(Buffer.from('secret'), key, 'k', 'app/NAME')
    for (const part of ['ciphertext', 'nonce'] as const) {
      const bytes = Buffer.from(sealed[part], 'base64')
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const flipped = Buffer.from(bytes)
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(() => open({ ...sealed, [part]: flipped.toString('base64') })).toThrow(SealBroken)
      }
    }
  })
  it('is refused in another place', () => {
    expect(() => open(seal(Buffer.from('secret'), key, 'k', 'app/NAME'), 'app/OTHER')).toThrow(SealBroken)
    expect(() => open(seal(Buffer.from('secret'), key, 'k', 'app/NAME'), 'other/NAME')).toThrow(SealBroken)
  })
  it('is refused under another key, cut short, or empty', () => {
    const sealed = seal(Buffer.from('secret'), key, 'k', 'app/NAME')
    expect(() => open(sealed, 'app/NAME', randomBytes(32))).toThrow(SealBroken)
    expect(() => open({ ...sealed, ciphertext: sealed.ciphertext.slice(0, 16) })).toThrow(SealBroken)
    expect(() => open({ ...sealed, nonce: '' })).toThrow(SealBroken)
  })
})
