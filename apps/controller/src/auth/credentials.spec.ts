import { describe, expect, it } from 'vitest'
import { isSafeTransport, tokenOf } from './credentials.js'

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

describe('the token of a request', () => {
  it.each([
    [undefined, undefined],
    ['Bearer croft_x', 'croft_x'],
    ['bearer   croft_x ', 'croft_x'],
    [basic('git:croft_x'), 'croft_x'],
    [basic(':croft_x'), 'croft_x'],
    [basic('git:with:colon'), 'with:colon'],
    [basic('no-colon'), ''],
    ['Basic !!!', ''],
    ['Bearer', ''],
    ['Digest abc', ''],
    ['', ''],
  ])('of Authorization %j is %j', (header, token) => {
    expect(tokenOf(header)).toBe(token)
  })
})

describe('credentials may travel', () => {
  it.each([
    ['on a platform for this host only', 'localhost', undefined, undefined, true],
    ['over HTTPS', 'example.org', 'https', '203.0.113.9', true],
    ['over HTTP from this host', 'example.org', 'http', '127.0.0.1', true],
    ['over HTTP from this host, v6', 'example.org', 'http', '::1', true],
    ['over HTTP from this host, v4 in v6', 'example.org', 'http', '::ffff:127.0.0.1', true],
    ['not over HTTP from another machine', 'example.org', 'http', '203.0.113.9', false],
    ['not when a client claims to be this host', 'example.org', 'http', '127.0.0.1, 203.0.113.9', false],
    ['not from an address that only looks like this host', 'example.org', 'http', '127.0.0.1.example.org', false],
    ['not when nobody says where from', 'example.org', undefined, undefined, false],
    ['not with a protocol nobody knows', 'example.org', 'https, http', '203.0.113.9', false],
  ])('%s', (_what, domain, forwardedProto, forwardedFor, isSafe) => {
    expect(isSafeTransport({ domain, forwardedProto, forwardedFor })).toBe(isSafe)
  })
})
