import type { BuildFailure } from '@croft/buildpack-kit'
import {
  knownFailure,
  packageOfArchive,
  REGISTRY_FAILURES,
  unknownFailure,
  type KnownFailure,
} from './known-failures.js'

/** What pnpm says, understood; its version 12 breaks lines where the terminal would. Pure. */

const RENEW = 'run pnpm install, commit pnpm-lock.yaml and push again'
const CORRECT = 'correct the version in package.json, renew pnpm-lock.yaml and push again'

/** How many packages an install reports, or null. */
export function pnpmCount(stdout: string): number | null {
  const match = /^Packages: \+(\d+)/m.exec(stdout)
  return match === null ? null : Number(match[1])
}

const KNOWN: readonly KnownFailure[] = [
  [
    /ERR_PNPM_OUTDATED_LOCKFILE[\s\S]*?dependenc(?:y was|ies were) added:\s+([^\s,]+)/,
    (match) => `pnpm-lock.yaml does not fit package.json: ${match[1]} is missing from it`,
    RENEW,
  ],
  [/ERR_PNPM_OUTDATED_LOCKFILE/, () => 'pnpm-lock.yaml does not fit package.json', RENEW],
  [
    /ERR_PNPM_LOCKFILE_CONFIG_MISMATCH/,
    () => 'pnpm-lock.yaml was written with other settings (overrides, patches or the like) than the app has now',
    RENEW,
  ],
  [
    /ERR_PNPM_(?:NO_LOCKFILE|LOCKFILE_BREAKING_CHANGE)/,
    () => 'pnpm-lock.yaml was written by a version of pnpm that this one does not understand',
    'name the version that wrote it in package.json ("packageManager"), commit and push again',
  ],
  [
    /(?:integrity of |checksum for ")(https?:[^\s":]+(?::\d+)?[^\s":]+\.tgz)/,
    (match) => `the package ${packageOfArchive(match[1] ?? '')} is not the one pnpm-lock.yaml was written with`,
    'find out which registry served it before you renew pnpm-lock.yaml',
  ],
  [
    /ERR_PNPM_FETCH_404\W+GET (\S+?\.tgz|\S+?):? /,
    (match) => `the npm registry has no ${packageOfArchive(match[1] ?? '')}`,
    CORRECT,
  ],
  [
    /ERR_PNPM_NO_MATCHING_VERSION[\s\S]*?No matching version found for (\S+)/,
    (match) => `the npm registry has no ${match[1]}`,
    CORRECT,
  ],
  [
    /ERR_PNPM_MINIMUM_RELEASE_AGE_VIOLATION[\s\S]*?(\S+@\d\S*) could not/,
    (match) => `pnpm does not let ${match[1]} through: the registry does not list it`,
    CORRECT,
  ],
  [
    /ERR_PNPM_MINIMUM_RELEASE_AGE_VIOLATION[\s\S]*?(\S+@\d\S*)/,
    (match) => `pnpm does not let ${match[1]} through: it is younger than minimumReleaseAge allows`,
    'wait, take an older version, or name it in minimumReleaseAgeExclude',
  ],
  [
    /ERR_PNPM_IGNORED_BUILDS[\s\S]*?build scripts: ([^\n]+?)\.?\s*\n/,
    (match) => `pnpm does not run the build scripts of ${match[1]}`,
    'run pnpm approve-builds, commit what it writes and push again',
  ],
  [
    /ERR_PNPM_UNSUPPORTED_ENGINE[\s\S]*?Expected version: (\S+)\s+Got: (\S+)/,
    (match) => `package.json asks for ${match[1]}, and the build has ${match[2]}`,
    'correct engines in package.json and push again',
  ],
  [
    /ERR_PNPM_FETCH_(401|403)/,
    (match) => `the npm registry refuses access (${match[1]})`,
    'set the token that .npmrc names with croft config:set',
  ],
  [
    /\b\w*SELF_SIGNED_CERT\w*|UNABLE_TO_(?:GET|VERIFY)\w+|CERT_HAS_EXPIRED|invalid peer certificate/,
    (match) => `the certificate of the npm registry is not trusted (${match[0]})`,
    REGISTRY_FAILURES.untrusted,
  ],
  [
    /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|Connection refused|dns error|fetch failed|timed out)\b/,
    (match) => `the npm registry cannot be reached (${match[1]})`,
    REGISTRY_FAILURES.unreachable,
  ],
]

/** The failure behind pnpm's output. */
export function pnpmFailure(what: string, exitCode: number | null, output: string): BuildFailure {
  const lines = output
    .split('\n')
    .flatMap((line) => /^\s*(?:\[?(?:ERR_PNPM_\w+|ERROR|Error)\]?:?)\s+(.+)/.exec(line)?.[1] ?? [])
  return knownFailure(output, KNOWN) ?? unknownFailure(what, exitCode, lines)
}
