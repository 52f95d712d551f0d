import { describe, expect, it } from 'vitest'
import { encodePacket, FLUSH } from './pkt-line.js'
import { ReceiveHeadReader, type ReceiveHead } from './receive-head.js'

const OLD = '0'.repeat(40)
const NEW = 'a'.repeat(40)

function head(bytes: Buffer, cut = 7): { head: ReceiveHead | undefined; reader: ReceiveHeadReader } {
  const reader = new ReceiveHeadReader()
  let found: ReceiveHead | undefined
  for (let at = 0; at < bytes.length && found === undefined; at += cut)
    found = reader.write(bytes.subarray(at, at + cut))
  return { head: found, reader }
}

describe('the head of a push', () => {
  it('gives commands, capabilities and options, and leaves every byte for git', () => {
    const bytes = Buffer.concat([
      encodePacket(`${OLD} ${NEW} refs/heads/main\0 report-status side-band-64k push-options agent=git/2.39`),
      encodePacket(`${OLD} ${NEW} refs/tags/v1\n`),
      FLUSH,
      encodePacket('team=ops'),
      FLUSH,
      Buffer.from('PACK....'),
    ])
    const { head: found, reader } = head(bytes)
    expect(found?.commands).toEqual([
      { oldValue: OLD, newValue: NEW, ref: 'refs/heads/main' },
      { oldValue: OLD, newValue: NEW, ref: 'refs/tags/v1' },
    ])
    expect(found?.capabilities.has('side-band-64k')).toBe(true)
    expect(found?.pushOptions).toEqual(['team=ops'])
    expect(bytes.subarray(0, reader.bytes.length)).toEqual(reader.bytes)
    expect(reader.bytes.subarray(reader.bytes.length - reader.packStart.length)).toEqual(reader.packStart)
  })
  it('of a probe has no command', () => {
    expect(head(FLUSH).head?.commands).toEqual([])
  })
  it('notices a shallow clone', () => {
    const bytes = Buffer.concat([
      encodePacket(`shallow ${NEW}`),
      encodePacket(`${OLD} ${NEW} refs/heads/main\0report-status`),
      FLUSH,
    ])
    expect(head(bytes).head).toMatchObject({ isShallow: true, commands: [{ ref: 'refs/heads/main' }] })
  })
  it.each([
    ['a command without a ref', `${OLD} ${NEW}`],
    ['a value that is no object id', `${OLD} --upload-pack=x refs/heads/main`],
    ['a ref with a space', `${OLD} ${NEW} refs/heads/a b`],
  ])('is refused with %s', (_what, line) => {
    expect(() => head(Buffer.concat([encodePacket(line), FLUSH]))).toThrow(RangeError)
  })
  it('is refused when it lists refs without end', () => {
    const line = encodePacket(`${OLD} ${NEW} refs/heads/${'x'.repeat(60_000)}`)
    expect(() => head(Buffer.concat(Array.from({ length: 40 }, () => line)), 100_000)).toThrow(RangeError)
  })
})
