import { describe, expect, it } from 'vitest'
import { parseEgress, spanOf } from './egress.js'

describe('a target of the egress list', () => {
  it.each([
    ['10.1.2.3:443', { host: '10.1.2.3', port: 443 }],
    ['10.1.0.0/16:8080', { host: '10.1.0.0/16', port: 8080 }],
    ['git.corp:443', { host: 'git.corp', port: 443 }],
    ['git:65535', { host: 'git', port: 65_535 }],
  ])('may be %s', (text, target) => {
    expect(parseEgress(text)).toEqual(target)
  })
  it.each([
    ['10.1.2.3', /HOST:PORT/],
    ['https://git.corp:443', /HOST:PORT/],
    ['git.corp:0', /HOST:PORT/],
    ['git.corp:65536', /HOST:PORT/],
    ['git corp:80', /HOST:PORT/],
    ['git.corp/16:80', /HOST:PORT/],
    ['[fd00::1]:80', /HOST:PORT/],
    ['10.1.2.256:80', /HOST:PORT/],
    ['10.1.2.3/33:80', /block/],
    ['10.1.2.3/8/8:80', /block/],
    ['127.0.0.1:80', /127.0.0.0\/8/],
    ['169.254.169.254:80', /169.254.0.0\/16/],
    ['168.0.0.0/5:80', /169.254.0.0\/16/],
    ['0.0.0.0/0:80', /no build may reach/],
    ['255.255.255.255:80', /224.0.0.0\/3/],
    ['localhost:80', /build itself/],
  ])('is not %s', (text, why) => {
    expect(parseEgress(text)).toMatch(why)
  })
})

it.each([
  ['10.1.2.3', '10.1.2.3', '10.1.2.3'],
  ['10.1.2.3/24', '10.1.2.0', '10.1.2.255'],
  ['203.0.113.77/31', '203.0.113.76', '203.0.113.77'],
  ['10.1.2.3/0', '0.0.0.0', '255.255.255.255'],
])('%s spans %s to %s', (host, start, end) => {
  expect(spanOf(host)).toEqual({ start, end })
})
