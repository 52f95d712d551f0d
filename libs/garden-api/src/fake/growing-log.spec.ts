import fc from 'fast-check'
import { expect, it } from 'vitest'
import { GrowingLog } from './growing-log.js'

it('holds what was appended, from any offset on', () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 8 })
  fc.assert(
    fc.property(pieces, fc.nat(20_000), (parts, offset) => {
      const log = new GrowingLog()
      for (const part of parts) log.append(Buffer.from(part))
      const all = Buffer.concat(parts)
      expect(log.length).toBe(all.length)
      expect(log.from(offset).equals(all.subarray(offset))).toBe(true)
    }),
  )
})

it('gives copies, which later bytes do not change', () => {
  const log = new GrowingLog()
  log.append(Buffer.from('one'))
  const before = log.from(0)
  before.write('ONE')
  log.append(Buffer.from('two'))
  expect(log.from(0).toString()).toBe('onetwo')
})
