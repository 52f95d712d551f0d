import { BuildFailure } from '@croft/buildpack-kit'

/** What npm says, understood. Pure. */

/** How many packages an install reports, or null. */
export function packageCount(stdout: string): number | null {
  const match = /^(?:added|changed) (\d+) packages?/m.exec(stdout)
  return match === null ? null : Number(match[1])
}

const KNOWN: readonly [pattern: RegExp, cause: (match: RegExpExecArray) => string, remedy: string][] = [
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
    'push again; if it stays, ask whoever runs the platform for the registry settings of builds',
  ],
  [
    /code (SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|CERT_\w+)/,
    (match) => `the certificate of the npm registry is not trusted (${match[1]})`,
    'ask whoever runs the platform for the certificates of builds',
  ],
  [
    /code (E401|E403|ENEEDAUTH)/,
    (match) => `the npm registry refuses access (${match[1]})`,
    'set the token that .npmrc names with croft config:set',
  ],
]

/** The failure behind npm's output. */
export function npmFailure(what: string, exitCode: number | null, output: string): BuildFailure {
  for (const [pattern, cause, remedy] of KNOWN) {
    const match = pattern.exec(output)
    if (match !== null) return new BuildFailure(cause(match), remedy)
  }
  const line = output
    .split('\n')
    .map((text) => text.replace(/^npm (error|ERR!) ?/, '').trim())
    .find((text) => text !== '' && !/^(code|errno|path|command|A complete log)/.test(text))
  const said = line === undefined ? '' : `: ${line.slice(0, 200)}`
  return new BuildFailure(
    `${what} failed with exit code ${exitCode ?? 'none'}${said}`,
    'run the same command on your machine, fix what it says and push again',
  )
}
