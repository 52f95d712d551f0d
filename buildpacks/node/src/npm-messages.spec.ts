import { describe, expect, it } from 'vitest'
import { npmFailure, packageCount } from './npm-messages.js'

describe('what npm says', () => {
  it('counts packages', () => {
    expect(packageCount('\nadded 68 packages in 2s\n')).toBe(68)
    expect(packageCount('added 1 package in 1s')).toBe(1)
    expect(packageCount('up to date in 2s')).toBeNull()
  })

  it.each<[string, string, RegExp, RegExp]>([
    [
      'a lock file that does not fit',
      'npm error code EUSAGE\nnpm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.\nnpm error Missing: left-pad@1.3.0 from lock file\n',
      /left-pad@1.3.0 is missing from it/,
      /commit package-lock.json/,
    ],
    [
      'a version that is not there',
      'npm error code ETARGET\nnpm error notarget No matching version found for express@^99.0.0.\n',
      /has no express@\^99.0.0/,
      /package.json/,
    ],
    [
      'no way to the registry',
      'npm error code ENOTFOUND\nnpm error network request to https://registry failed\n',
      /cannot be reached \(ENOTFOUND\)/,
      /registry settings/,
    ],
    ['a certificate', 'npm error code SELF_SIGNED_CERT_IN_CHAIN\n', /is not trusted/, /certificates/],
    ['a certificate of its own', 'npm error code DEPTH_ZERO_SELF_SIGNED_CERT\n', /is not trusted/, /certificates/],
    [
      'another package than was locked',
      'npm warn x\nnpm error code EINTEGRITY\nnpm error sha512-...',
      /EINTEGRITY/,
      /registry/,
    ],
    [
      'anything else',
      'npm error code 1\nnpm error path /layers\nnpm error gyp failed\n',
      /npm ci failed with exit code 1: gyp failed/,
      /your machine/,
    ],
  ])('explains %s', (_what, output, cause, remedy) => {
    const failure = npmFailure('npm ci', 1, output)
    expect(failure.message).toMatch(cause)
    expect(failure.remedy).toMatch(remedy)
  })
})
