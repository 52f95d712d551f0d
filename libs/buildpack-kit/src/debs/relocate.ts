import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { inRunImage } from './apt.js'
import { isDocumentation, MERGED, mergedPath, relocatedPkgConfig, relocatedShebang } from './relocation.js'

/** Makes what was unpacked from packages into `root` work where it lies: one usr, links, interpreters, pkg-config files. */
export function relocate(root: string): void {
  for (const name of MERGED) {
    const stat = lstatSync(join(root, name), { throwIfNoEntry: false })
    if (stat?.isDirectory() === true) mergeInto(join(root, name), join(root, 'usr', name))
  }
  for (const path of entriesOf(root)) {
    const full = join(root, path)
    const stat = lstatSync(full, { throwIfNoEntry: false })
    if (stat === undefined) continue // went with its folder
    if (isDocumentation(path)) rmSync(full, { recursive: true, force: true })
    else if (stat.isSymbolicLink()) turnLink(root, path)
    else if (stat.isFile() && (stat.mode & 0o111) !== 0) turnShebang(full)
    else if (stat.isFile() && path.endsWith('.pc')) {
      writeFileSync(full, relocatedPkgConfig(readFileSync(full, 'utf8'), path))
    }
  }
}

function entriesOf(root: string): string[] {
  return readdirSync(root, { withFileTypes: true, recursive: true })
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .toSorted()
}

function mergeInto(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    const there = lstatSync(target, { throwIfNoEntry: false })
    if (there?.isDirectory() === true && entry.isDirectory()) mergeInto(source, target)
    else if (there === undefined) renameSync(source, target)
    else rmSync(source, { recursive: true }) // a package's own link from the one place to the other
  }
  rmdirSync(from)
}

/** An absolute link to something that came along leads there; any other leads into the run image, as it did. */
function turnLink(root: string, path: string): void {
  const target = readlinkSync(join(root, path))
  if (!target.startsWith('/')) return
  const inside = join(root, mergedPath(target))
  if (lstatSync(inside, { throwIfNoEntry: false }) === undefined) return
  rmSync(join(root, path))
  symlinkSync(relative(dirname(join(root, path)), inside), join(root, path))
}

function turnShebang(path: string): void {
  const start = Buffer.alloc(256)
  const file = openSync(path, 'r')
  try {
    readSync(file, start, 0, start.length, 0)
  } finally {
    closeSync(file)
  }
  if (start.toString('latin1', 0, 2) !== '#!') return
  const text = readFileSync(path)
  const end = text.indexOf('\n')
  const line = text.toString('utf8', 0, end === -1 ? text.length : end)
  const turned = relocatedShebang(line, (interpreter) => existsSync(inRunImage(interpreter)))
  if (turned === null) return
  writeFileSync(path, Buffer.concat([Buffer.from(turned), end === -1 ? Buffer.from('\n') : text.subarray(end)]))
}
