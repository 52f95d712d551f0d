/** How the files of a Debian package change so that they work below another folder than `/`. Pure. */

/** Folders that a merged-usr system has below /usr only. */
export const MERGED = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'] as const

/** Where an absolute path of a package lies in a tree in which /bin, /lib and their kin are merged into /usr; no leading slash. */
export function mergedPath(absolute: string): string {
  const parts = absolute.split('/').filter((part) => part !== '' && part !== '.')
  const [first = ''] = parts
  return ((MERGED as readonly string[]).includes(first) ? ['usr', ...parts] : parts).join('/')
}

/**
 * The first line of a script whose interpreter came with the packages: found by PATH instead of by its absolute name.
 * `isInBase` says whether an absolute path is in the run image. Null when the line stays.
 */
export function relocatedShebang(line: string, isInBase: (path: string) => boolean): string | null {
  const match = /^#![ \t]*(\/(?:usr\/)?s?bin\/[^ \t]+)[ \t]*(.*?)[ \t]*$/.exec(line)
  const [, interpreter = '', args = ''] = match ?? []
  if (match === null || isInBase(interpreter)) return null
  const name = interpreter.slice(interpreter.lastIndexOf('/') + 1)
  return args === '' ? `#!/usr/bin/env ${name}` : `#!/usr/bin/env -S ${name} ${args}`
}

/** The text of a pkg-config file that lies at `path` (below the tree, e.g. `usr/lib/pkgconfig/x.pc`): its paths start at itself. */
export function relocatedPkgConfig(text: string, path: string): string {
  const ups = path
    .split('/')
    .slice(1, -1)
    .map(() => '..')
  const usr = ['${pcfiledir}', ...ups].join('/')
  return text.replaceAll(/(^|[=\s"]|-[IL])\/usr(?=[/\s"]|$)/gm, (_all, before: string) => `${before}${usr}`)
}

/** Files of a package that no app needs: manuals, translations, documentation but for the licences. */
export function isDocumentation(path: string): boolean {
  return /^usr\/share\/(man|info|locale|lintian|doc-base|bug)(\/|$)/.test(path) || isPlainDoc(path)
}

function isPlainDoc(path: string): boolean {
  return /^usr\/share\/doc\/[^/]+\/./.test(path) && !/^usr\/share\/doc\/[^/]+\/copyright$/.test(path)
}
