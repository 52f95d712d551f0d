// A second base image of a stack, as `stack:upgrade` makes one when Debian has other packages: the present one and one file more.
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { command } from './tools.mjs'

/** What only the second one has; an app sees by it which one it stands on. */
export const NEXT_BASE_FILE = '/etc/bench-next-base'

const sha256 = async (file) => (await command('sha256sum', [file])).split(' ', 1)[0]

/**
 * Makes it beside the present one in the cache of the host, where no home stands on it until its pin says so. The same packages give
 * the same one: what a killed run left is what this one takes, and `remove` removes.
 */
export async function nextBase(stack) {
  const images = join(process.env.CROFT_CACHE ?? '/var/cache/croft', 'base', stack)
  const present = join(images, readlinkSync(join(images, 'current')))
  const made = mkdtempSync(join(images, '.bench-'))
  try {
    const [tree, tar, blob] = ['tree', 'layer.tar', 'layer.tar.zst'].map((name) => join(made, name))
    await command('cp', ['-a', join(present, 'tree'), tree])
    writeFileSync(join(tree, NEXT_BASE_FILE), '')
    await command('tar', ['-C', tree, '--sort=name', '--mtime=@0', '--numeric-owner', '-cf', tar, '.'])
    const hex = await sha256(tar)
    await command('zstd', ['-q', '-3', '--rm', tar, '-o', blob])
    const own = {
      diffId: `sha256:${hex}`,
      blobDigest: `sha256:${await sha256(blob)}`,
      blobBytes: statSync(blob).size,
    }
    const image = JSON.parse(readFileSync(join(present, 'image.json'), 'utf8'))
    writeFileSync(join(made, 'image.json'), JSON.stringify({ ...image, ...own }))
    chmodSync(made, 0o755)
    const folder = join(images, hex)
    if (!existsSync(folder)) renameSync(made, folder)
    return { hex, remove: () => rmSync(folder, { recursive: true, force: true }) }
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
}

/** The base image that builds and rebases of a home stand on. */
export function pinOf(home, stack) {
  const pin = join(home, 'node/stacks', stack)
  return {
    hex: () => readlinkSync(pin),
    set(hex) {
      symlinkSync(hex, `${pin}.bench`)
      renameSync(`${pin}.bench`, pin)
    },
  }
}
