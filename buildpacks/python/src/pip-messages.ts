import { BuildFailure } from '@croft/buildpack-kit'

/** What pip's output means for whoever pushed. Pure. */

/** Whether pip failed because no index answered. */
export function isUnreachable(output: string): boolean {
  return /NewConnectionError|Failed to establish a new connection|Temporary failure in name resolution|Name or service not known|ConnectTimeoutError|ReadTimeoutError|ProxyError|Network is unreachable|Connection refused|Max retries exceeded/.test(
    output,
  )
}

/** Whether pip found no package, or none in that version, where it looked. */
export function isMissing(output: string): boolean {
  return /No matching distribution found|Could not find a version that satisfies/.test(output)
}

const KNOWN: readonly [pattern: RegExp, cause: (match: RegExpExecArray) => string, remedy: string][] = [
  [
    /No matching distribution found for ([^\n]+)/,
    ([, what]) => `there is no ${what?.trim()} for this Python`,
    'correct the name or the version and push again',
  ],
  [
    /THESE PACKAGES DO NOT MATCH THE HASHES|Hashes are required in --require-hashes mode/,
    () => 'the hashes of the lock file are not those of the packages',
    'make the lock file again, look at what changed, and push it',
  ],
  [
    /Cannot install (.+?) because these package versions have conflicting dependencies/s,
    ([, what]) => `the versions of ${what?.replaceAll(/\s+/g, ' ')} do not go together`,
    'ask for versions that do and push again',
  ],
  [
    /Invalid requirement: ([^\n]+)/,
    ([, what]) => `${what?.trim()} is no requirement`,
    'write it as  name==1.2.3  and push again',
  ],
  [
    /Failed building wheel for (\S+)|error: command '?(?:\S*gcc|cc|\S*g\+\+)/,
    ([, what]) => `${what ?? 'a package'} has to be compiled, and that failed`,
    'ask for a version that has a wheel for this Python, or commit one in wheels/',
  ],
]

/** The failure of a pip run. */
export function pipFailure(exitCode: number | null, output: string): BuildFailure {
  for (const [pattern, cause, remedy] of KNOWN) {
    const match = pattern.exec(output)
    if (match !== null) return new BuildFailure(`pip install failed: ${cause(match).slice(0, 300)}`, remedy)
  }
  const line = /^ERROR: (.*)$/m.exec(output)?.[1] ?? output.trim().split('\n').at(-1) ?? ''
  return new BuildFailure(
    `pip install failed with exit code ${exitCode ?? 'none'}: ${line.slice(0, 200)}`,
    'read the lines above, fix it and push again',
  )
}
