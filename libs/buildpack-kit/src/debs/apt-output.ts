import { BuildFailure } from '../failure.js'

/** What apt says, understood. Pure. */

export interface Archive {
  name: string
  version: string
  bytes: number
}

/** The archives that `apt-get install --print-uris` would fetch, by package name. */
export function archivesIn(stdout: string): Archive[] {
  const found = [...stdout.matchAll(/^'[^']+' ([^ _]+)_([^ _]+)_[^ ]+\.deb ([0-9]+)/gm)].map(
    ([, name = '', version = '', bytes = '0']) => ({
      name: decodeURIComponent(name),
      version: decodeURIComponent(version),
      bytes: Number(bytes),
    }),
  )
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** The packages that `apt-cache policy` knows, with the version it would install. */
export function candidatesIn(stdout: string): Map<string, string> {
  const found = [...stdout.matchAll(/^(\S+):\n {2}Installed: .*\n {2}Candidate: (.+)$/gm)]
  return new Map(
    found.flatMap(([, name = '', version = '']) => (version === '(none)' ? [] : [[name, version] as const])),
  )
}

const KNOWN: readonly [
  pattern: RegExp,
  cause: (match: RegExpExecArray, distribution: string) => string,
  remedy: string,
][] = [
  [
    /^E: (?:Unable to locate package|Couldn't find any package by \S+|Package) '?([^\s']+)'?(?: has no installation candidate)?$/m,
    (match, distribution) => `${distribution} has no package ${match[1]}`,
    'correct its name (https://packages.debian.org lists them), or take another stack',
  ],
  [
    /^E: Version '([^']+)' for '([^']+)' was not found/m,
    (match, distribution) => `${distribution} has no version ${match[1]} of ${match[2]}`,
    'leave the version out: a distribution has one of each package',
  ],
  [
    /^ (\S+) : (?:Depends|PreDepends|Conflicts|Breaks): (.+)$/m,
    (match) => `the packages do not go together: ${match[1]} has a relation to ${match[2]}`,
    'ask for fewer packages, or for those of one kind',
  ],
  [
    /^E: Packages need to be removed/m,
    () => 'the packages would replace some of the stack',
    'ask for packages that go together with the stack',
  ],
  [
    /^E: Failed to fetch (\S+)\s+(.*)$/m,
    (match) => `Debian's archive did not give ${match[1]}: ${match[2]}`,
    'push again; if it stays, ask whoever runs the platform whether apt-get update works there',
  ],
  [
    /hash sum mismatch/i,
    () => "Debian's archive gave a file that is not the one it announced",
    'push again; if it stays, show this to whoever runs the platform',
  ],
]

/** The failure behind what apt said. */
export function aptFailure(output: string, exitCode: number | null, distribution: string): BuildFailure {
  for (const [pattern, cause, remedy] of KNOWN) {
    const match = pattern.exec(output)
    if (match !== null) return new BuildFailure(cause(match, distribution).slice(0, 400), remedy)
  }
  const line = /^E: (.*)$/m.exec(output)?.[1] ?? output.trim().split('\n').at(-1) ?? ''
  return new BuildFailure(
    `apt failed with exit code ${exitCode ?? 'none'}: ${line.slice(0, 300)}`,
    'show this to whoever runs the platform',
  )
}
