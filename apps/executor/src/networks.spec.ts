import { describe, expect, it } from 'vitest'
import { parseRoutes } from './networks.js'

const HEAD = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT'
const row = (name: string, destination: string, mask: string): string =>
  [name, destination, '00000000', '0001', '0', '0', '0', mask, '0', '0', '0'].join('\t')

describe('the ranges a host routes', () => {
  it('are its networks, not its default route', () => {
    const table = [HEAD, row('eth0', '00000000', '00000000'), row('eth0', '000200C0', '00FFFFFF'), ''].join('\n')
    expect(parseRoutes(table, 0)).toEqual(['192.0.2.0/24'])
  })
  it("are the containers of other homes too, so that no address is given twice, but not one's own", () => {
    const table = [HEAD, row('c1-0', '03C0C00A', 'FFFFFFFF'), row('c12-7', '0400C10A', 'FFFFFFFF')].join('\n')
    expect(parseRoutes(table, 1)).toEqual(['10.193.0.4/32'])
    expect(parseRoutes(table, 12)).toEqual(['10.192.192.3/32'])
  })
})
