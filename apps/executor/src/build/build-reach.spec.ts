import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HOST_REACH, type BuildReach } from '@croft/protocol'
import { reachEnv, reachFiles, reachTargets, type HostReach } from './build-reach.js'

const HOST: HostReach = {
  npmrc: 'registry=https://npm.host/\nfetch-retries=1\n',
  ca: '-----HOST-----\n',
  proxyEnvironment: { http_proxy: 'http://proxy.host:3128' },
}
const PATIENCE = 'fetch-retries=3\nfetch-retry-mintimeout=1000\nfetch-retry-maxtimeout=8000\n'
const BARE: HostReach = { npmrc: null, ca: null, proxyEnvironment: {} }
const settings = (some: Partial<BuildReach>): BuildReach => ({ ...HOST_REACH, ...some })

describe('how builds reach package registries', () => {
  it('is as the host does without settings', () => {
    expect(reachFiles(HOST)).toEqual({ npmrc: `${PATIENCE}${HOST.npmrc}`, 'ca.crt': HOST.ca })
    expect(reachEnv(HOST)).toMatchObject({
      npm_config_globalconfig: '/cnb/croft/reach/npmrc',
      NODE_EXTRA_CA_CERTS: '/etc/ssl/certs/ca-certificates.crt',
      BUNDLE_SSL_CA_CERT: '/etc/ssl/certs/ca-certificates.crt',
      http_proxy: 'http://proxy.host:3128',
    })
    expect(reachTargets()).toEqual([])
  })

  it('is only patience on a host without configuration', () => {
    expect(reachFiles(BARE)).toEqual({ npmrc: PATIENCE })
    expect(reachEnv(BARE)).toEqual({ LANG: 'C.UTF-8', npm_config_globalconfig: '/cnb/croft/reach/npmrc' })
  })

  it.each<[string, Partial<BuildReach>, Record<string, string>, Record<string, string>]>([
    [
      'npmRegistry, behind what the host says',
      { npmRegistry: 'https://npm.corp/' },
      { npmrc: `${PATIENCE}registry=https://npm.host/\nfetch-retries=1\nregistry=https://npm.corp/\n` },
      { npm_config_globalconfig: '/cnb/croft/reach/npmrc' },
    ],
    [
      'pypiIndex',
      { pypiIndex: 'https://pypi.corp/simple/' },
      { 'pip.conf': '[global]\nindex-url = https://pypi.corp/simple/\n' },
      { PIP_CONFIG_FILE: '/cnb/croft/reach/pip.conf', UV_DEFAULT_INDEX: 'https://pypi.corp/simple/' },
    ],
    [
      'pypiIndex without TLS',
      { pypiIndex: 'http://pypi.corp:8080/simple/' },
      { 'pip.conf': '[global]\nindex-url = http://pypi.corp:8080/simple/\ntrusted-host = pypi.corp\n' },
      {},
    ],
    [
      'rubygemsMirror',
      { rubygemsMirror: 'https://gems.corp/' },
      { bundle: '---\nBUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/: "https://gems.corp/"\n' },
      { BUNDLE_USER_CONFIG: '/cnb/croft/reach/bundle' },
    ],
    [
      'packagistMirror',
      { packagistMirror: 'http://php.corp/' },
      {
        'composer.json':
          '{"config":{"secure-http":false},"repositories":[{"type":"composer","url":"http://php.corp/"},{"packagist.org":false}]}\n',
      },
      { CROFT_COMPOSER_CONFIG: '/cnb/croft/reach/composer.json' },
    ],
    [
      'ca, behind the certificates of the host',
      { ca: '-----CORP-----' },
      { 'ca.crt': '-----HOST-----\n-----CORP-----\n' },
      {},
    ],
    [
      "proxy and noProxy instead of the host's",
      { proxy: 'http://proxy.corp:3128', noProxy: 'npm.corp,.corp' },
      {
        npmrc: `${PATIENCE}${HOST.npmrc}proxy=http://proxy.corp:3128\nhttps-proxy=http://proxy.corp:3128\nnoproxy=npm.corp,.corp\n`,
      },
      {
        http_proxy: 'http://proxy.corp:3128',
        HTTPS_PROXY: 'http://proxy.corp:3128',
        no_proxy: 'npm.corp,.corp',
        NO_PROXY: 'npm.corp,.corp',
      },
    ],
  ])('follows the setting %s', (_name, some, files, env) => {
    expect(reachFiles(HOST, settings(some))).toMatchObject(files)
    expect(reachEnv(HOST, settings(some))).toMatchObject(env)
  })

  it('names each place once that builds have to be let through to', () => {
    const some = {
      npmRegistry: 'https://a.corp/npm/',
      pypiIndex: 'https://a.corp/pypi/',
      proxy: 'http://10.0.0.9:3128',
      rubygemsMirror: 'http://a.corp',
    }
    expect(reachTargets(settings(some))).toEqual([
      { host: 'a.corp', port: 443 },
      { host: 'a.corp', port: 80 },
      { host: '10.0.0.9', port: 3128 },
    ])
  })

  it('has a file for every variable that names one', () => {
    const url = fc.option(fc.webUrl({ validSchemes: ['http', 'https'] }), { nil: null })
    const any = fc.record({
      npmRegistry: url,
      rubygemsMirror: url,
      pypiIndex: url,
      packagistMirror: url,
      proxy: url,
      noProxy: fc.constant(null),
      egress: fc.constant<string[]>([]),
      ca: fc.option(fc.constant('x'), { nil: null }),
    })
    fc.assert(
      fc.property(any, fc.constantFrom(HOST, BARE), (reach, host) => {
        const files = reachFiles(host, reach)
        const named = Object.values(reachEnv(host, reach)).flatMap(
          (value) => /^\/cnb\/croft\/reach\/(.+)/.exec(value)?.[1] ?? [],
        )
        expect(named.toSorted()).toEqual(
          Object.keys(files)
            .filter((name) => name !== 'ca.crt')
            .toSorted(),
        )
      }),
    )
  })
})
