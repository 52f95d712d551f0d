import { describe, expect, it } from 'vitest'
import { addressProblem, certificatesProblem, reachSettings } from './reach-settings.js'

/** Signed by itself for a hundred years; its key was thrown away. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
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

describe('the address of a mirror or a proxy', () => {
  it.each(['https://npm.corp/', 'https://npm.corp:8443/repo/npm/', 'http://10.0.0.5:4873', 'http://[fd00::5]:4873/'])(
    'may be %s',
    (address) => {
      expect(addressProblem(address)).toBeNull()
    },
  )

  it.each([
    ['npm.corp', /is no address/],
    ['ftp://npm.corp/', /is no address/],
    ['https://user:secret@npm.corp/', /which every build could read/],
    ['http://localhost:4873/', /means a build itself/],
    ['http://127.0.0.1:4873/', /means a build itself/],
    ['https://npm.corp/?token=1', /behind \? or #/],
  ])('may not be %s', (address, problem) => {
    expect(addressProblem(address)).toMatch(problem)
    expect(() => reachSettings.npmRegistry.parse(address)).toThrow()
  })
})

describe('the certificates that builds trust besides', () => {
  it('are one or more in PEM, whatever is written between them', () => {
    expect(certificatesProblem(CERTIFICATE)).toBeNull()
    expect(certificatesProblem(`# ours\n${CERTIFICATE}\n# theirs\n${CERTIFICATE}`)).toBeNull()
  })

  it.each([
    ['nothing', '', /no certificate in PEM/],
    ['something else', '-----BEGIN X509 CRL-----\nMIG\n-----END X509 CRL-----\n', /no certificate in PEM/],
    ['a damaged one', CERTIFICATE.replace('MIIB', 'AAAA'), /cannot be read/],
    ['too much', CERTIFICATE.repeat(500), /larger than 256 KiB/],
  ])('are not %s', (_what, text, problem) => {
    expect(certificatesProblem(text)).toMatch(problem)
  })

  it('come without a key', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n'
    expect(certificatesProblem(`${CERTIFICATE}${key}`)).toMatch(/private key/)
  })
})

describe('the hosts that are reached without a proxy', () => {
  it.each([
    ['npm.corp', true],
    ['.corp,10.0.0.0/8,*.local', true],
    ['npm.corp, other', false],
    ['', false],
  ])('%j: %s', (text, isList) => {
    expect(reachSettings.noProxy.safeParse(text).success).toBe(isList)
  })
})

it('every setting may be taken back', () => {
  for (const setting of Object.values(reachSettings)) expect(setting.parse(null)).toBeNull()
})
