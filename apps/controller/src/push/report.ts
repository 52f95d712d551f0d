import { encodeBand, encodePacket, FLUSH, PacketReader } from './pkt-line.js'
import type { ReceiveHead } from './receive-head.js'
import { named } from './text.js'

/** What receive-pack tells the client of each ref. Pure. */

/** A report of our own, for a push that git never saw: `whys` gives a reason for each ref. */
export function refusalReport(head: ReceiveHead, whys: ReadonlyMap<string, string>, unpack = 'ok'): Buffer {
  if (!reports(head)) return Buffer.alloc(0)
  const lines = [
    encodePacket(`unpack ${unpack}\n`),
    ...head.commands.map(({ ref }) => encodePacket(`ng ${ref} ${shortReason(whys.get(ref) ?? 'refused')}\n`)),
    FLUSH,
  ]
  return wrapped(head, Buffer.concat(lines))
}

/** git's report with our reasons in place of `hook declined`; a ref in `unsettled` is refused although git moved it. */
export function reasonedReport(
  head: ReceiveHead,
  report: Buffer,
  whys: ReadonlyMap<string, string>,
  unsettled: ReadonlyMap<string, string> = new Map(),
): Buffer {
  const reader = new PacketReader()
  reader.write(report)
  const out: Buffer[] = []
  for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
    out.push(packet.kind === 'flush' ? FLUSH : encodePacket(reasoned(packet.payload, whys, unsettled)))
  }
  return wrapped(head, Buffer.concat([...out, reader.rest]))
}

/** The lines of a report: `unpack …`, `ok …`, `ng …`. */
export function reportLines(report: Buffer): string[] {
  const reader = new PacketReader()
  reader.write(report)
  const lines: string[] = []
  for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
    if (packet.kind === 'data') lines.push(packet.payload.toString('utf8').trimEnd())
  }
  return lines
}

/** Whether the client reads text beside the report. */
export function hasSideBand(head: ReceiveHead): boolean {
  return head.capabilities.has('side-band-64k')
}

function reports(head: ReceiveHead): boolean {
  return head.capabilities.has('report-status') || head.capabilities.has('report-status-v2')
}

function wrapped(head: ReceiveHead, report: Buffer): Buffer {
  return hasSideBand(head) ? encodeBand(1, report) : report
}

function reasoned(payload: Buffer, whys: ReadonlyMap<string, string>, unsettled: ReadonlyMap<string, string>): Buffer {
  const line = payload.toString('utf8')
  const declined = /^ng (\S+) (?:pre-receive )?hook declined\n?$/.exec(line)?.[1]
  const moved = /^ok (\S+)\n?$/.exec(line)?.[1]
  const ref = declined ?? moved ?? ''
  const why = declined === undefined ? unsettled.get(ref) : whys.get(ref)
  return why === undefined ? payload : Buffer.from(`ng ${ref} ${shortReason(why)}\n`)
}

function shortReason(why: string): string {
  return named(why, 80)
}
