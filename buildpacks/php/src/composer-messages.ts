import { BuildFailure } from '@croft/buildpack-kit'

/** What Composer says, understood. Pure. */

const KNOWN: readonly [pattern: RegExp, cause: (match: RegExpExecArray) => string, remedy: string][] = [
  [
    /curl error \d+ while downloading https?:\/\/([^/\s]+)[^:]*: ([\s\S]*?)(?:\n\s*\n|$)/,
    (match) => `${match[1]} cannot be reached, where Composer gets packages from: ${oneLine(match[2] ?? '')}`,
    'commit the vendor folder, which is used as it is, or ask whoever runs the platform for access to that host',
  ],
  [
    /The "(https?:\/\/([^/"]+)[^"]*)" file could not be downloaded(?: \(HTTP\/\S+ (40[13])[^)]*\))?/,
    (match) =>
      match[3] === undefined
        ? `${match[2]} did not give what Composer asked for (${match[1]})`
        : `${match[2]} refuses access (${match[3]}) to ${match[1]}`,
    'commit the vendor folder, or set COMPOSER_AUTH with croft config:set if the packages are private',
  ],
  [
    /Your lock file does not contain a compatible set of packages[\s\S]*?- (?!\S+ is locked to version)(.+)/,
    (match) => `composer.lock does not fit: ${oneLine(match[1] ?? '')}`,
    'run composer update with the PHP that is used here, commit composer.lock and push again',
  ],
  [
    /- Required package "(\S+)" is not present in the lock file/,
    (match) => `composer.lock does not fit composer.json: ${match[1]} is missing from it`,
    'run composer update, commit composer.lock and push again',
  ],
  [
    /Your requirements could not be resolved to an installable set of packages[\s\S]*?Problem 1\s*- ([\s\S]+?)(?:\n\s*-|\n\s*\n|$)/,
    (match) => `the packages in composer.json do not go together: ${oneLine(match[1] ?? '')}`,
    'run composer update where you work, commit composer.lock and push again',
  ],
  [
    /The checksum verification of the file failed/,
    () => 'a package is not the one composer.lock was written with',
    'find out which server gave it before you renew composer.lock',
  ],
  [
    /Script (.+?) (?:handling the \S+ event )?returned with error code (\d+)/,
    (match) => `the script ${match[1]} of composer.json failed with exit code ${match[2]}`,
    'see its output above; a script that needs the database belongs into a release line of the Procfile',
  ],
  [
    /Allowed memory size of \d+ bytes exhausted/,
    () => 'Composer needed more memory than it may use',
    'commit composer.lock, so that nothing has to be resolved',
  ],
]

/** The failure behind Composer's output. */
export function composerFailure(verb: string, exitCode: number | null, output: string): BuildFailure {
  for (const [pattern, cause, remedy] of KNOWN) {
    const match = pattern.exec(output)
    if (match !== null) return new BuildFailure(cause(match), remedy)
  }
  const lines = output.split('\n').map((line) => line.trim())
  const said = lines.find(
    (line) => line !== '' && !/^(In \S+ line \d+:|Loading|Installing|Verifying|Updating)/.test(line),
  )
  return new BuildFailure(
    `composer ${verb} failed with exit code ${exitCode ?? 'none'}${said === undefined ? '' : `: ${said.slice(0, 200)}`}`,
    'see its output above; composer install on your own machine should say the same',
  )
}

/** How many packages an installation reports, or null. */
export function installedCount(output: string): number | null {
  const match = /^Package operations: (\d+) installs?/m.exec(output)
  return match === null ? null : Number(match[1])
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().replace(/\.$/, '').slice(0, 300)
}
