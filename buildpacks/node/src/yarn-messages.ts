import type { BuildFailure } from '@croft/buildpack-kit'
import {
  knownFailure,
  packageOfArchive,
  REGISTRY_FAILURES,
  unknownFailure,
  type KnownFailure,
} from './known-failures.js'

/** What yarn says, understood: `yarn 1` in words, later ones in numbered messages. Pure. */

const MISFIT = 'yarn.lock does not fit package.json'
const RENEW = 'run yarn install, commit yarn.lock and push again'
const CORRECT = 'correct the version in package.json, renew yarn.lock and push again'
const NOT_GENUINE = 'find out which registry served it before you renew yarn.lock'

const SHARED: readonly KnownFailure[] = [
  [
    /self-signed certificate|unable to (?:get|verify) [^\n]*certificate|certificate has expired/i,
    (match) => `the certificate of the npm registry is not trusted (${match[0]})`,
    REGISTRY_FAILURES.untrusted,
  ],
  [
    /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ESOCKETTIMEDOUT|ENETUNREACH|ERR_SOCKET_CLOSED\w*)\b|RequestError: ([^\n]+)/,
    (match) => `the npm registry cannot be reached (${match[1] ?? match[2]})`,
    REGISTRY_FAILURES.unreachable,
  ],
]

const CLASSIC: readonly KnownFailure[] = [
  [/Your lockfile needs to be updated/, () => MISFIT, RENEW],
  [
    /(?:Integrity check failed|Incorrect integrity when fetching from the cache) for "([^"]+)"/,
    (match) => `the package ${match[1]} is not the one yarn.lock was written with`,
    NOT_GENUINE,
  ],
  [
    /(https?:\S+): Request failed "404/,
    (match) => `the npm registry has no ${packageOfArchive(match[1] ?? '')}`,
    CORRECT,
  ],
  [
    /Request failed "?(401|403)/,
    (match) => `the npm registry refuses access (${match[1]})`,
    'set the token that .npmrc names with croft config:set',
  ],
  [
    /Couldn't find any versions for "([^"]+)" that matches "([^"]+)"/,
    (match) => `the npm registry has no ${match[1]}@${match[2]}`,
    CORRECT,
  ],
  [
    /error (\S+): The engine "(\w+)" is incompatible with this module\. Expected version "([^"]+)"\. Got "([^"]+)"/,
    (match) => `${match[1]} asks for ${match[2]} ${match[3]}, and the app runs ${match[4]}`,
    'correct engines in package.json or the version of that package, and push again',
  ],
  ...SHARED,
]

const MODERN: readonly KnownFailure[] = [
  [
    /YN0028: │ -  version: \d+/,
    () => 'yarn.lock was written by another version of yarn',
    'name the version that wrote it in package.json ("packageManager"), or run yarn install with the present one, commit yarn.lock and push again',
  ],
  [
    /YN0028: │ \+ {4}"?([^":]+)"?: "npm:([^"]+)"/,
    (match) => `${MISFIT}: ${match[1]}@${match[2]} is missing from it`,
    RENEW,
  ],
  [/YN0028|The lockfile would have been/, () => MISFIT, RENEW],
  [
    /YN0018: │ (\S+): The remote archive doesn't match/,
    (match) => `the package ${plain(match[1])} is not the one yarn.lock was written with`,
    NOT_GENUINE,
  ],
  [/YN0035: │ (\S+): Package not found/, (match) => `the npm registry has no ${plain(match[1])}`, CORRECT],
  [/YN0082: │ (\S+): No candidates found/, (match) => `the npm registry has no ${plain(match[1])}`, CORRECT],
  [
    /YN0041|Response Code: (?:401|403)/,
    () => 'the npm registry refuses access',
    'set the token that .yarnrc.yml names with croft config:set',
  ],
  [
    /Environment variable not found \((\w+)\)/,
    (match) => `.yarnrc.yml names the variable ${match[1]}, which is not set`,
    'set it with croft config:set',
  ],
  [
    /YN0009: │ (\S+) couldn't be built successfully/,
    (match) => `the package ${plain(match[1])} could not be built`,
    'read the lines above, fix what they say and push again',
  ],
  ...SHARED,
]

/** The failure behind the output of yarn 1. */
export function yarnClassicFailure(what: string, exitCode: number | null, output: string): BuildFailure {
  const lines = output.split('\n').flatMap((line) => /^error (.+)/.exec(line)?.[1] ?? [])
  return knownFailure(output, CLASSIC) ?? unknownFailure(what, exitCode, lines)
}

/** The failure behind the output of yarn 2 and later. */
export function yarnFailure(what: string, exitCode: number | null, output: string): BuildFailure {
  const lines = output.split('\n').flatMap((line) => /(?:YN0*[1-9]\d*: (?:│ )?|Error: )(.+)/.exec(line)?.[1] ?? [])
  return knownFailure(output, MODERN) ?? unknownFailure(what, exitCode, lines)
}

/** What an install without the check for a changed lock file resolved anew, i.e. took from elsewhere than yarn.lock; or null. */
export function resolvedAnew(output: string): string | null {
  const match = /YN0085: │ \+ ([^\s,]+)/.exec(output)
  return match === null ? null : plain(match[1])
}

/** That package is not in yarn.lock. */
export function yarnMisfit(name: string): readonly [cause: string, remedy: string] {
  return [`${MISFIT}: ${name} is missing from it`, RENEW]
}

/** `debug@npm:4.4.3` as people write it. */
function plain(locator: string | undefined): string {
  return (locator ?? '').replace('@npm:', '@')
}
