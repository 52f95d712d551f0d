import type { BuildFailure } from '@croft/buildpack-kit'
import { knownFailure, REGISTRY_FAILURES, unknownFailure, type KnownFailure } from './known-failures.js'

/** What npm says, understood. Pure. */

/** How many packages an install reports, or null. */
export function packageCount(stdout: string): number | null {
  const match = /^(?:added|changed) (\d+) packages?/m.exec(stdout)
  return match === null ? null : Number(match[1])
}

const KNOWN: readonly KnownFailure[] = [
  [
    /Missing: (\S+) from lock file/,
    (match) => `package-lock.json does not fit package.json: ${match[1]} is missing from it`,
    'run npm install, commit package-lock.json and push again',
  ],
  [
    /`npm ci` can only install packages when your package\.json and package-lock\.json/,
    () => 'package-lock.json does not fit package.json',
    'run npm install, commit package-lock.json and push again',
  ],
  [
    /code EINTEGRITY/,
    () => 'a package is not the one package-lock.json was written with (EINTEGRITY)',
    'find out which registry served it before you renew package-lock.json',
  ],
  [
    /code (ETARGET|E404)[\s\S]*?(?:No matching version found for|404 Not Found[^\n]*\/) ?([^\s]+)/,
    (match) => `the npm registry has no ${match[2]}`,
    'correct the version in package.json, renew package-lock.json and push again',
  ],
  [
    /code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH)/,
    (match) => `the npm registry cannot be reached (${match[1]})`,
    REGISTRY_FAILURES.unreachable,
  ],
  [
    /code (\w*SELF_SIGNED_CERT\w*|UNABLE_TO_\w+|CERT_\w+)/,
    (match) => `the certificate of the npm registry is not trusted (${match[1]})`,
    REGISTRY_FAILURES.untrusted,
  ],
  [
    /code (E401|E403|ENEEDAUTH)/,
    (match) => `the npm registry refuses access (${match[1]})`,
    'set the token that .npmrc names with croft config:set',
  ],
]

/** The failure behind npm's output. */
export function npmFailure(what: string, exitCode: number | null, output: string): BuildFailure {
  const lines = output.split('\n').map((text) => text.replace(/^npm (error|ERR!) ?/, '').trim())
  const telling = lines.filter((text) => !/^(code|errno|path|command|A complete log)/.test(text))
  return knownFailure(output, KNOWN) ?? unknownFailure(what, exitCode, telling)
}
