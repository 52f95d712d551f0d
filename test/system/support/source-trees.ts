import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { bareEnv, start } from '@croft/kit'
import { checkout } from './platform.js'

/** Makes a folder of files, path to content. */
export function writeTree(folder: string, files: Record<string, string | Buffer>): void {
  mkdirSync(folder, { recursive: true })
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
}

/** The files of an example, by path. */
export function exampleFiles(name: string): Record<string, string> {
  const folder = join(checkout, 'examples', name)
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => relative(folder, join(entry.parentPath, entry.name)))
  const own = paths.filter((path) => !/(^|\/)(node_modules|__pycache__)\//.test(path))
  return Object.fromEntries(own.map((path) => [path, readFileSync(join(folder, path), 'utf8')]))
}

/** A folder as the tar that a build is sent: owned by root. */
export function tarOf(folder: string): Readable {
  const child = start('tar', ['--create', '--numeric-owner', '--owner=0', '--group=0', '-C', folder, '.'], {
    env: bareEnv(),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  // Read at once: what a process that ended wrote is thrown away when nobody listens yet.
  return child.stdout?.pipe(new PassThrough()) ?? Readable.from([])
}
