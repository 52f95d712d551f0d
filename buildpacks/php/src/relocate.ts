import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where Debian's packages for PHP find each other. */
const LIBRARIES = '/usr/share/php/'

/** An autoloader that names others by their place in a usual system, for packages unpacked below `root`. Pure. */
export function relocatedAutoloader(text: string, root: string): string {
  return text.replaceAll(new RegExp(`(['"])${LIBRARIES}`, 'g'), `$1${root}${LIBRARIES}`)
}

/** Turns the autoloaders of Composer and what it needs to the layer: those of Debian 13 are absolute. */
export function relocateAutoloaders(root: string): void {
  for (const path of globSync(join(root, LIBRARIES, '**/autoload.php'))) {
    const text = readFileSync(path, 'utf8')
    const relocated = relocatedAutoloader(text, root)
    if (relocated !== text) writeFileSync(path, relocated)
  }
}
