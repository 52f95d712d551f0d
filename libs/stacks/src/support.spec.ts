import { expect, it } from 'vitest'
import { STACKS } from './stacks.js'
import { expiryWarning, isExpired, upstreamEnd } from './support.js'

const [bullseye, bookworm] = STACKS

it('a stack is expired from the day after its last one', () => {
  expect(isExpired(bullseye!, '2026-08-31')).toBe(false)
  expect(isExpired(bullseye!, '2026-09-01')).toBe(true)
})

it('a push on an expired stack is warned of the stack and of the runtime that ends with it', () => {
  expect(expiryWarning(bullseye!, 'php', '2026-11-26')).toBe(
    'stack debian-11 (Debian 11) and PHP 7.4: no security fixes since 2026-08-31',
  )
  expect(expiryWarning(bullseye!, null, '2026-11-26')).toBe(
    'stack debian-11 (Debian 11): no security fixes since 2026-08-31',
  )
  expect(expiryWarning(bookworm!, 'ruby', '2026-11-26')).toBeNull()
})

it('the makers of a runtime may end before the distribution does', () => {
  expect(upstreamEnd(bookworm!, 'ruby')).toBe('2025-03-26')
})
