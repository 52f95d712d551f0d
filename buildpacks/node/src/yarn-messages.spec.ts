import { describe, expect, it } from 'vitest'
import { resolvedAnew, yarnClassicFailure, yarnFailure } from './yarn-messages.js'

const failing = (...lines: string[]): string =>
  ['yarn install v1.22.22', '[1/4] Resolving packages...', ...lines].join('\n')
const modern = (...lines: string[]): string =>
  ['➤ YN0000: · Yarn 4.18.1', ...lines.map((line) => `➤ ${line}`), '➤ YN0000: · Failed with errors in 0s 89ms'].join(
    '\n',
  )

describe('what yarn 1 says', () => {
  it.each<[string, string, string, RegExp]>([
    [
      'a lock file that does not fit',
      'error Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`.',
      'yarn.lock does not fit package.json',
      /^run yarn install, commit yarn\.lock/,
    ],
    [
      'another package than was locked',
      'error https://registry.yarnpkg.com/debug/-/debug-4.4.3.tgz: Integrity check failed for "debug" (computed integrity doesn\'t match our records, got "sha512-x")',
      'the package debug is not the one yarn.lock was written with',
      /which registry/,
    ],
    [
      'another package in its cache',
      'error Incorrect integrity when fetching from the cache for "debug". Cache has "sha512-x" and remote has "sha512-y".',
      'the package debug is not the one yarn.lock was written with',
      /which registry/,
    ],
    [
      'a package that is not there',
      'error Error: https://registry.yarnpkg.com/@a/debug/-/debug-4.4.399.tgz: Request failed "404 Not Found"\n    at ResponseError',
      'the npm registry has no @a/debug@4.4.399',
      /renew yarn\.lock/,
    ],
    [
      'no way to the registry',
      'info There appears to be trouble with your network connection. Retrying...\nerror Error: getaddrinfo ENOTFOUND npm.invalid',
      'the npm registry cannot be reached (ENOTFOUND)',
      /registry settings/,
    ],
    [
      'a certificate',
      'error Error: self-signed certificate in certificate chain',
      'the certificate of the npm registry is not trusted (self-signed certificate)',
      /certificates/,
    ],
    [
      'another Node than a package needs',
      'error a@1.0.0: The engine "node" is incompatible with this module. Expected version ">=99". Got "24.21.0"\nerror Found incompatible module.',
      'a@1.0.0 asks for node >=99, and the app runs 24.21.0',
      /engines/,
    ],
    [
      'no access',
      'error An unexpected error occurred: "https://npm.corp/a: Request failed "401 Unauthorized"".',
      'the npm registry refuses access (401)',
      /token/,
    ],
    [
      'anything else',
      'error Something went wrong',
      'yarn install failed with exit code 1: Something went wrong',
      /your machine/,
    ],
  ])('explains %s', (_what, line, cause, remedy) => {
    const failure = yarnClassicFailure('yarn install', 1, failing(line))
    expect(failure.message).toBe(cause)
    expect(failure.remedy).toMatch(remedy)
  })
})

describe('what yarn 2 and later say', () => {
  it.each<[string, string[], string, RegExp]>([
    [
      'a lock file that lacks a dependency',
      [
        'YN0000: │ @@ -9,8 +9,9 @@',
        'YN0000: │      debug: "npm:^4.3.4"',
        'YN0028: │ +    is-odd: "npm:3.0.1"',
        'YN0028: │ +"is-number@npm:^6.0.0":',
        'YN0028: │ The lockfile would have been modified by this install, which is explicitly forbidden.',
      ],
      'yarn.lock does not fit package.json: is-odd@3.0.1 is missing from it',
      /^run yarn install/,
    ],
    [
      'a lock file of another version',
      [
        'YN0028: │ -  version: 8',
        'YN0028: │ +  version: 10',
        'YN0028: │ The lockfile would have been modified by this install',
      ],
      'yarn.lock was written by another version of yarn',
      /packageManager/,
    ],
    [
      'a lock file with something too much',
      ['YN0028: │ -"left-pad@npm:1.3.0":', 'YN0028: │ The lockfile would have been modified by this install'],
      'yarn.lock does not fit package.json',
      /^run yarn install/,
    ],
    [
      'another package than was locked',
      ["YN0018: │ debug@npm:4.4.3: The remote archive doesn't match the expected checksum"],
      'the package debug@4.4.3 is not the one yarn.lock was written with',
      /which registry/,
    ],
    [
      'a package that is not there',
      ['YN0035: │ @a/debug@npm:4.4.399: Package not found', 'YN0035: │   Response Code: 404 (Not Found)'],
      'the npm registry has no @a/debug@4.4.399',
      /renew yarn\.lock/,
    ],
    [
      'no way to the registry',
      ['YN0001: │ Error [ERR_SOCKET_CLOSED_BEFORE_CONNECTION]: Socket closed before the connection was established'],
      'the npm registry cannot be reached (ERR_SOCKET_CLOSED_BEFORE_CONNECTION)',
      /registry settings/,
    ],
    [
      'a certificate',
      ['YN0001: │ RequestError: self-signed certificate in certificate chain'],
      'the certificate of the npm registry is not trusted (self-signed certificate)',
      /certificates/,
    ],
    [
      'a variable that is not set',
      ['Usage Error: Environment variable not found (NPM_TOKEN) in /workspace/.yarnrc.yml'],
      '.yarnrc.yml names the variable NPM_TOKEN, which is not set',
      /config:set/,
    ],
    [
      'a package that cannot be built',
      [
        "YN0009: │ better-sqlite3@npm:11.0.0 couldn't be built successfully (exit code 1, logs can be found here: /tmp/x)",
      ],
      'the package better-sqlite3@11.0.0 could not be built',
      /lines above/,
    ],
    [
      'anything else',
      ['YN0002: │ Something went wrong'],
      'yarn install failed with exit code 1: Something went wrong',
      /your machine/,
    ],
  ])('explains %s', (_what, lines, cause, remedy) => {
    const failure = yarnFailure('yarn install', 1, modern(...lines))
    expect(failure.message).toBe(cause)
    expect(failure.remedy).toMatch(remedy)
  })

  it('tells what was not taken from the lock file', () => {
    expect(
      resolvedAnew(modern('YN0085: │ + is-odd@npm:3.0.1, is-number@npm:6.0.0', 'YN0085: │ - left-pad@npm:1.3.0')),
    ).toBe('is-odd@3.0.1')
    expect(resolvedAnew(modern('YN0085: │ - left-pad@npm:1.3.0'))).toBeNull()
  })
})
