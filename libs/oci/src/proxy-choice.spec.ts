import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { proxyFor, proxySettings } from './proxy-choice.js'

const [http, https] = ['http://plain.proxy:3128', 'http://tls.proxy:3128']
const through = (url: string, noProxy = ''): string | null => proxyFor(new URL(url), { http, https, noProxy })

describe('the proxy of a request', () => {
  it.each<[url: string, noProxy: string, proxy: string | null]>([
    ['https://ghcr.io/v2/', '', https],
    ['http://registry.example:5000/v2/', '', http],
    ['https://localhost/v2/', '', null],
    ['http://croft.localhost:8080/v2/', '', null],
    ['http://127.1.2.3:5000/v2/', '', null],
    ['https://[::1]:5000/v2/', '', null],
    ['https://ghcr.io/', '*', null],
    ['https://ghcr.io/', 'other.io, ghcr.io', null],
    ['https://GHCR.io./', 'ghcr.IO', null],
    ['https://a.ghcr.io/', 'ghcr.io', null],
    ['https://a.ghcr.io/', '.ghcr.io', null],
    ['https://ghcr.io/', '.ghcr.io', null],
    ['https://a.ghcr.io/', '*.ghcr.io', null],
    ['https://ghcr.io/', '*.ghcr.io', https],
    ['https://notghcr.io/', 'ghcr.io', https],
    ['https://ghcr.io/', 'ghcr.io:443', null],
    ['https://ghcr.io:5000/', 'ghcr.io:443', https],
    ['http://ghcr.io/', 'ghcr.io:80', null],
    ['https://10.1.2.3/', '10.0.0.0/8', null],
    ['https://11.1.2.3/', '10.0.0.0/8', https],
    ['https://10.1.2.3/', '10.1.2.3', null],
    ['https://10.1.2.3/', '0.0.0.0/0', null],
    ['https://10.1.2.3/', '10.0.0.0/33', https],
    ['https://10.0.0.0.example/', '10.0.0.0/8', https],
    ['https://[fd00::1]/', 'fd00::1', null],
    ['https://[fd00::1]:5000/', '[fd00::1]:443', https],
    ['https://ghcr.io/', ', ,.', https],
  ])('to %s where no_proxy is %j is %s', (url, noProxy, proxy) => {
    expect(through(url, noProxy)).toBe(proxy)
  })
  it('may be written without its scheme, as people do', () => {
    expect(proxyFor(new URL('https://a.b'), { http: '', https: 'proxy:3128', noProxy: '' })).toBe('http://proxy:3128')
    expect(proxyFor(new URL('http://a.b'), { http: '', https: 'proxy:3128', noProxy: '' })).toBeNull()
  })
  it('is one of the two or none, whatever no_proxy says', () => {
    fc.assert(
      fc.property(fc.webUrl(), fc.string(), (url, noProxy) => {
        expect([null, http, https]).toContain(through(url, noProxy))
      }),
    )
  })
})

describe('proxies of an environment', () => {
  it.each([
    [{}, { http: '', https: '', noProxy: '' }],
    [
      { http_proxy: 'a', HTTP_PROXY: 'b', HTTPS_PROXY: 'c', no_proxy: 'd' },
      { http: 'a', https: 'c', noProxy: 'd' },
    ],
  ])('are of %j', (env, found) => {
    expect(proxySettings(env)).toEqual(found)
  })
  it('give way to settings of the platform', () => {
    const env = { http_proxy: 'a', https_proxy: 'b', no_proxy: 'c' }
    expect(proxySettings(env, { proxy: 'p', noProxy: null })).toEqual({ http: 'p', https: 'p', noProxy: 'c' })
    expect(proxySettings(env, { proxy: null, noProxy: 'n' })).toEqual({ http: 'a', https: 'b', noProxy: 'n' })
  })
})
