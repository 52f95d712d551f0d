import { BuildFailure } from '@croft/buildpack-kit'

/** A pattern in the output of a manager, what it means, and what to do. */
export type KnownFailure = readonly [pattern: RegExp, cause: (match: RegExpExecArray) => string, remedy: string]

/** The first of the known failures that the output shows. Pure. */
export function knownFailure(output: string, known: readonly KnownFailure[]): BuildFailure | null {
  for (const [pattern, cause, remedy] of known) {
    const match = pattern.exec(output)
    if (match !== null) return new BuildFailure(cause(match), remedy)
  }
  return null
}

/** A failure nobody knows: the first line that says something. Pure. */
export function unknownFailure(what: string, exitCode: number | null, lines: readonly string[]): BuildFailure {
  const line = lines.find((text) => text !== '')
  const said = line === undefined ? '' : `: ${line.slice(0, 200)}`
  return new BuildFailure(
    `${what} failed with exit code ${exitCode ?? 'none'}${said}`,
    'run the same command on your machine, fix what it says and push again',
  )
}

/** `https://registry.npmjs.org/@a/b/-/b-1.2.3.tgz` is `@a/b@1.2.3`; what has another form stays as it is. Pure. */
export function packageOfArchive(url: string): string {
  const match = /\/((?:@[^/]+\/)?[^/]+)\/-\/[^/]+?-(\d[^/]*)\.tgz/.exec(url)
  return match === null ? url : `${match[1]}@${match[2]}`
}

/** Of every manager: no way to the registry, no trust, no access. */
export const REGISTRY_FAILURES = {
  unreachable:
    'push again; if it stays, ask whoever runs the platform for the registry settings of builds (croft settings:set npm-registry, proxy)',
  untrusted: 'ask whoever runs the platform for the certificates of builds (croft settings:set ca=FILE)',
}
