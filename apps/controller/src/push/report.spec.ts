import { describe, expect, it } from 'vitest'
import { encodePacket, FLUSH, PacketReader } from './pkt-line.js'
import type { ReceiveHead } from './receive-head.js'
import { reasonedReport, refusalReport, reportLines } from './report.js'

const head = (...capabilities: string[]): ReceiveHead => ({
  commands: [{ oldValue: '0', newValue: '1', ref: 'refs/heads/main' }],
  capabilities: new Set(capabilities),
  pushOptions: [],
  isShallow: false,
})

/** The report inside side band 1. */
function unwrapped(bytes: Buffer): string[] {
  const reader = new PacketReader()
  reader.write(bytes)
  const packet = reader.next()
  if (packet?.kind !== 'data') throw new Error('no packet')
  expect(packet.payload[0]).toBe(1)
  return reportLines(packet.payload.subarray(1))
}

describe('the report of a push', () => {
  it('gives our reason where git knows only that a hook declined', () => {
    const report = Buffer.concat([
      encodePacket('unpack ok\n'),
      encodePacket('ng refs/heads/main hook declined\n'),
      encodePacket('ok refs/heads/other\n'),
      FLUSH,
    ])
    const whys = new Map([['refs/heads/main', 'build failed']])
    expect(unwrapped(reasonedReport(head('side-band-64k'), report, whys))).toEqual([
      'unpack ok',
      'ng refs/heads/main build failed',
      'ok refs/heads/other',
    ])
  })
  it('refuses a ref that moved but could not be made to last', () => {
    const report = Buffer.concat([encodePacket('unpack ok\n'), encodePacket('ok refs/heads/main\n'), FLUSH])
    const unsettled = new Map([['refs/heads/main', 'internal error']])
    expect(unwrapped(reasonedReport(head('side-band-64k'), report, new Map(), unsettled))).toEqual([
      'unpack ok',
      'ng refs/heads/main internal error',
    ])
  })
  it('of a push git never saw refuses every ref', () => {
    const bytes = refusalReport(head('report-status', 'side-band-64k'), new Map())
    expect(unwrapped(bytes)).toEqual(['unpack ok', 'ng refs/heads/main refused'])
  })
  it('is not sent to a client that did not ask for one', () => {
    expect(refusalReport(head(), new Map())).toHaveLength(0)
  })
})
