import { describe, expect, it } from 'vitest'
import { diagnosePort, parseListeners } from './listeners.js'

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const row = (local: string, state = '0A'): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1002 0 1 1\n`

describe('listening sockets of a container', () => {
  it.each([
    ['0100007F:1F90', { port: 8080, isLoopback: true }],
    ['00000000:1F90', { port: 8080, isLoopback: false }],
    ['0200C00A:270F', { port: 9999, isLoopback: false }],
    ['00000000000000000000000001000000:1F90', { port: 8080, isLoopback: true }],
    ['0000000000000000FFFF00000100007F:1F90', { port: 8080, isLoopback: true }],
    ['00000000000000000000000000000000:0050', { port: 80, isLoopback: false }],
  ])('%s is read', (local, listener) => {
    expect(parseListeners(HEAD + row(local))).toEqual([listener])
  })
  it('connections that are not listening are none', () => {
    expect(parseListeners(HEAD + row('0100007F:1F90', '01'))).toEqual([])
  })
  it.each([
    [[{ port: 8080, isLoopback: true }], 'port-on-loopback'],
    [[{ port: 3000, isLoopback: false }], 'port-wrong'],
    [[], 'port-closed'],
    [[{ port: 8080, isLoopback: false }], 'port-closed'],
  ] as const)('%j is told as %s', (listeners, reason) => {
    expect(diagnosePort(8080, listeners).reason).toBe(reason)
  })
  it('names the port that is listened on instead', () => {
    expect(diagnosePort(8080, [{ port: 3000, isLoopback: false }]).message).toContain('3000')
  })
})
