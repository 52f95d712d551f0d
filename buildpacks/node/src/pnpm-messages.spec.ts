import { describe, expect, it } from 'vitest'
import { pnpmCount, pnpmFailure } from './pnpm-messages.js'

const WANTED = 'Wanted "sha512-RGwx==". Got "sha512-RGww==".'

describe('what pnpm says', () => {
  it('counts packages', () => {
    expect(pnpmCount('Lockfile is up to date\nPackages: +3\n+++\n')).toBe(3)
    expect(pnpmCount('Already up to date\n')).toBeNull()
  })

  it.each<[string, string, string, RegExp]>([
    [
      'a lock file that does not fit (9)',
      ' ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with "frozen-lockfile" because pnpm-lock.yaml is not up to date with <ROOT>/package.json\n\n    Failure reason:\n    specifiers in the lockfile ({}) don\'t match specs in package.json ({"a":"1"})\n',
      'pnpm-lock.yaml does not fit package.json',
      /^run pnpm install, commit pnpm-lock\.yaml/,
    ],
    [
      'a lock file that lacks a dependency (10, 11)',
      '[ERR_PNPM_OUTDATED_LOCKFILE] Cannot install with "frozen-lockfile" because pnpm-lock.yaml is not up to date with <ROOT>/package.json\n\n  Failure reason:\n  specifiers in the lockfile don\'t match specifiers in package.json:\n* 1 dependencies were added: is-odd@3.0.1\n',
      'pnpm-lock.yaml does not fit package.json: is-odd@3.0.1 is missing from it',
      /^run pnpm install/,
    ],
    [
      'a lock file that lacks a dependency (12)',
      'Error: ERR_PNPM_OUTDATED_LOCKFILE\n\n  × installing dependencies\n  ╰─▶ Cannot install with "frozen-lockfile" because pnpm-lock.yaml is not up\n      to date with package.json.\n      * in importers["."]:\n      * 1 dependency was added: is-odd@3.0.1\n  help: Regenerate the lockfile\n',
      'pnpm-lock.yaml does not fit package.json: is-odd@3.0.1 is missing from it',
      /^run pnpm install/,
    ],
    [
      'another package than was locked (9 to 11)',
      ` ERR_PNPM_TARBALL_INTEGRITY  Got unexpected checksum for "https://registry.npmjs.org/debug/-/debug-4.4.3.tgz". ${WANTED}\n`,
      'the package debug@4.4.3 is not the one pnpm-lock.yaml was written with',
      /which registry/,
    ],
    [
      'another package than was locked (12)',
      '[WARN] GET https://registry.npmjs.org/debug/-/debug-4.4.3.tgz error (Failed to verify the integrity of https://registry.npmjs.org/debug/-/debug-4.4.3.tgz: Integrity check failed.\nError: ERR_PNPM_TARBALL_INTEGRITY\n  ╰─▶ Failed to verify the integrity of https://registry.npmjs.org/debug/-/\n      debug-4.4.3.tgz: Integrity check failed.\n',
      'the package debug@4.4.3 is not the one pnpm-lock.yaml was written with',
      /which registry/,
    ],
    [
      'a package that is not there',
      ' ERR_PNPM_FETCH_404  GET https://registry.npmjs.org/@a/debug/-/debug-4.4.399.tgz: Not Found - 404\n\nNo authorization header was set for the request.\n',
      'the npm registry has no @a/debug@4.4.399',
      /renew pnpm-lock\.yaml/,
    ],
    [
      'a version that its own rules cannot check',
      '[ERR_PNPM_MINIMUM_RELEASE_AGE_VIOLATION] 1 lockfile entries failed verification:\n  debug@4.4.399 could not be checked against minimumReleaseAge (version not present in registry manifest)\n',
      'pnpm does not let debug@4.4.399 through: the registry does not list it',
      /renew pnpm-lock\.yaml/,
    ],
    [
      'a version that is too young for its rules',
      '[ERR_PNPM_MINIMUM_RELEASE_AGE_VIOLATION] 1 lockfile entries failed verification:\n  debug@4.4.9 was published 3 minutes ago\n',
      'pnpm does not let debug@4.4.9 through: it is younger than minimumReleaseAge allows',
      /minimumReleaseAgeExclude/,
    ],
    [
      'no way to the registry (10)',
      ' WARN  GET http://npm.invalid/ms/-/ms-2.1.3.tgz error (ENOTFOUND). Will retry in 500 milliseconds.\n ENOTFOUND  request to http://npm.invalid/ms/-/ms-2.1.3.tgz failed\n',
      'the npm registry cannot be reached (ENOTFOUND)',
      /registry settings/,
    ],
    [
      'no way to the registry (11)',
      '[ERROR] fetch failed\n\nTypeError: fetch failed\n',
      'the npm registry cannot be reached (fetch failed)',
      /registry settings/,
    ],
    [
      'no way to the registry (12)',
      'Error: ERR_PNPM_TARBALL_FETCH_TARBALL\n  ├─▶ tcp connect error\n  ╰─▶ Connection refused (os error 111)\n',
      'the npm registry cannot be reached (Connection refused)',
      /registry settings/,
    ],
    [
      'a certificate (11)',
      '[SELF_SIGNED_CERT_IN_CHAIN] self-signed certificate in certificate chain\n',
      'the certificate of the npm registry is not trusted (SELF_SIGNED_CERT_IN_CHAIN)',
      /certificates/,
    ],
    [
      'a certificate (12)',
      'Error: ERR_PNPM_TARBALL_FETCH_TARBALL\n  ├─▶ client error (Connect)\n  ╰─▶ invalid peer certificate: UnknownIssuer\n',
      'the certificate of the npm registry is not trusted (invalid peer certificate)',
      /certificates/,
    ],
    [
      'no access',
      ' ERR_PNPM_FETCH_401  GET https://npm.corp/a: Unauthorized - 401\n',
      'the npm registry refuses access (401)',
      /token/,
    ],
    [
      'a lock file of another pnpm',
      ' ERR_PNPM_LOCKFILE_BREAKING_CHANGE  Lockfile /layers/pnpm-lock.yaml not compatible with current pnpm\n',
      'pnpm-lock.yaml was written by a version of pnpm that this one does not understand',
      /packageManager/,
    ],
    [
      'anything else',
      ' ERR_PNPM_SOMETHING  Something went wrong\n',
      'pnpm install failed with exit code 1: Something went wrong',
      /your machine/,
    ],
  ])('explains %s', (_what, output, cause, remedy) => {
    const failure = pnpmFailure('pnpm install', 1, output)
    expect(failure.message).toBe(cause)
    expect(failure.remedy).toMatch(remedy)
  })
})
