import { describe, expect, it } from 'vitest'
import { UsageError } from '../usage.js'
import { parsePlatformSettings, settingLines } from './settings.js'

const CA = `-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIUIzmT40Yc1DjApQ2eNAA/vkbWK7IwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJQ29ycCBSb290MCAXDTI2MTEyNjA1MzgyMloYDzIxMjYxMTAy
MDUzODIyWjAUMRIwEAYDVQQDDAlDb3JwIFJvb3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQM8zHbmUJJhkMwoGVjodWcVz6+8PQM27Kuatk6MMz/nNEg3l3i/Z4f
lr19Ud2N1DB577G1Rt+ya7EvzcGNieafo1MwUTAdBgNVHQ4EFgQUy7IAE5WaBhi2
cSsQW1fm/FB9aYMwHwYDVR0jBBgwFoAUy7IAE5WaBhi2cSsQW1fm/FB9aYMwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBZMkG0/v/arGyEG56PuU7a
MhEm3sCmNcx+TsInGmMKjwIgHr/QuU+3YtnGR+truVDMVBQv/JqpCkhT0lXngOOK
hCI=
-----END CERTIFICATE-----
`
const read = (file: string): string => {
  if (file === '/corp.pem') return CA
  throw new Error('ENOENT: no such file')
}

describe('settings of the platform on the command line', () => {
  it.each<[string, string, object]>([
    ['a number', 'apps-per-team=20', { appsPerTeam: 20 }],
    ['a size', 'build-memory=1024', { buildMemoryMib: 1024 }],
    ['a word', 'expired-stacks=refuse', { expiredStacks: 'refuse' }],
    ['an address with = in it', 'npm-registry=https://npm.corp/a=b/', { npmRegistry: 'https://npm.corp/a=b/' }],
    ['nothing, which takes it back', 'npm-registry=', { npmRegistry: null }],
    ['a list', 'buildpack-sources=https://a/,https://b/c', { buildpackSources: ['https://a/', 'https://b/c'] }],
    ['a word for all', 'buildpack-sources=any', { buildpackSources: ['https://'] }],
    ['a word for no list', 'buildpack-sources=none', { buildpackSources: [] }],
    ['a builder image', 'builder=acme/b:1', { builder: 'acme/b:1' }],
    ['a list of builder images', 'builder-sources=acme/,corp:5000', { builderSources: ['acme/', 'corp:5000'] }],
    ['a word for any builder image', 'builder-sources=any', { builderSources: ['*'] }],
    ['a list of targets', 'egress=git.corp:443,10.0.0.0/8:80', { egress: ['git.corp:443', '10.0.0.0/8:80'] }],
    ['a word for no targets', 'egress=none', { egress: [] }],
    ['the text of a file', 'ca=/corp.pem', { ca: CA }],
  ])('may be %s', (_what, pair, expected) => {
    expect(parsePlatformSettings([pair], read)).toEqual(expected)
  })

  it.each(['unknown=1', 'toString=1', 'apps-per-team=', 'proxy', 'ca=/other.pem'])('%s is refused', (pair) => {
    expect(() => parsePlatformSettings([pair], read)).toThrow(UsageError)
  })

  it('are shown with the names they are set by', () => {
    const none = { rubygemsMirror: null, pypiIndex: null, packagistMirror: null, proxy: null, noProxy: null }
    const settings = {
      ...none,
      appsPerTeam: 100,
      nameQuarantineDays: 30,
      expiredStacks: 'warn',
      buildMemoryMib: null,
      buildpackSources: ['https://'],
      builder: null,
      builderSources: ['*'],
      egress: [],
      npmRegistry: 'https://a/',
      ca: CA,
    }
    expect(settingLines(settings)).toEqual([
      'apps-per-team=100',
      'name-quarantine=30',
      'expired-stacks=warn',
      'build-memory=',
      'buildpack-sources=any',
      'builder=',
      'builder-sources=any',
      'egress=none',
      'npm-registry=https://a/',
      'rubygems-mirror=',
      'pypi-index=',
      'packagist-mirror=',
      'proxy=',
      'no-proxy=',
      'ca=CN=Corp Root until 2126-11-02',
    ])
    expect(settingLines(settings, ['npmRegistry'])).toEqual(['npm-registry=https://a/'])
    const lines = (buildpackSources: string[]) => settingLines({ ...settings, buildpackSources }, ['buildpackSources'])
    expect(lines([])).toEqual(['buildpack-sources=none'])
    expect(lines(['https://a/', 'https://b/'])).toEqual(['buildpack-sources=https://a/,https://b/'])
  })
})
