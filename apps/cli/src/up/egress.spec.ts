import { describe, expect, it } from 'vitest'
import { egressOf } from './egress.js'
import { parseNpmrc } from './npmrc.js'

describe("the platform's egress list", () => {
  it('names the public registry when npm is configured for nothing else', () => {
    expect(egressOf({ npm: new Map(), proxyEnvironment: {}, aptSources: '', resolvConf: '' })).toEqual([
      { host: 'registry.npmjs.org', port: 443 },
    ])
  })
  it('names registries, archives, proxies and resolvers once each, but no resolver on loopback', () => {
    const npm = new Map([
      ['registry', 'https://npm.corp:8443/repo/'],
      ['@corp:registry', 'http://npm.corp/'],
    ])
    const aptSources =
      '# http://snapshot.corp/\nURIs: http://deb.corp/debian\nURIs: http://deb.corp/debian-security\ndeb [signed-by=/x] https://[fd00::1]/debian x main'
    const resolvConf = 'nameserver 10.0.0.2\nnameserver 127.0.0.53\n'
    expect(
      egressOf({ npm, proxyEnvironment: { https_proxy: 'http://proxy.corp:3128' }, aptSources, resolvConf }),
    ).toEqual([
      { host: '10.0.0.2', port: 53 },
      { host: 'deb.corp', port: 80 },
      { host: 'fd00::1', port: 443 },
      { host: 'npm.corp', port: 80 },
      { host: 'npm.corp', port: 8443 },
      { host: 'proxy.corp', port: 3128 },
    ])
  })
})

describe('an npmrc', () => {
  it('gives its settings with variables filled in, and no comments or lists', () => {
    const text = '; note\n# note\nregistry = https://npm.corp/\nca[]="x"\n@corp:registry="https://${HOST}/"\nbroken'
    expect(parseNpmrc(text, { HOST: 'h.corp' })).toEqual([
      ['registry', 'https://npm.corp/'],
      ['@corp:registry', 'https://h.corp/'],
    ])
  })
})
