import { BuildFailure } from '@croft/buildpack-kit'

const NAME = /^[a-z0-9][a-z0-9+.-]*[a-z0-9+](:[a-z0-9]+)?(=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?$/

/**
 * The packages an Aptfile names: words apart by spaces or lines, `#` begins a comment. Pure.
 * @throws BuildFailure for anything that is no package's name, with its line
 */
export function parseAptfile(text: string): string[] {
  return text.split('\n').flatMap((line, index) => {
    const words = line
      .replace(/#.*/, '')
      .split(/\s+/)
      .filter((word) => word !== '')
    const odd = words.find((word) => !NAME.test(word))
    if (odd === undefined) return words
    const where = `Aptfile, line ${index + 1}`
    if (odd.startsWith(':repo:')) {
      throw new BuildFailure(
        `${where}: packages come from the archives of the platform only, not from ${odd}`,
        'remove the line; the operator of the platform may add an archive to its apt sources',
      )
    }
    if (/^https?:/.test(odd) || odd.endsWith('.deb')) {
      throw new BuildFailure(
        `${where}: ${odd} is an archive, not the name of a package`,
        "write the name of a package of the stack's Debian release, or add the program to the repository",
      )
    }
    throw new BuildFailure(`${where}: ${JSON.stringify(odd)} is no name of a Debian package`, 'correct the line')
  })
}
