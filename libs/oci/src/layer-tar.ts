import type { Readable } from 'node:stream'
import { PassThrough } from 'node:stream'
import { bareEnv, start } from '@croft/kit'
import { OciError } from './errors.js'

/** The modification time of everything in a layer, 1980-01-01T00:00:01Z, in seconds since the epoch. */
export const LAYER_MTIME_SECONDS = 315_532_801

export interface Owner {
  uid: number
  gid: number
}

/**
 * The arguments with which GNU tar writes the tree `tree` (rooted at `/`) as a layer: absolute names, parents included, sorted,
 * numeric ids, one mtime, no attribute of the host. The same tree gives the same bytes. Pure.
 */
export function layerTarArguments(tree: string, entries: readonly string[], owner: Owner): string[] {
  return [
    '--create',
    '--format=posix',
    '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
    '--sort=name',
    '--numeric-owner',
    `--owner=${owner.uid}`,
    `--group=${owner.gid}`,
    `--mtime=@${LAYER_MTIME_SECONDS}`,
    '--hard-dereference',
    '--no-acls',
    '--no-selinux',
    '--no-xattrs',
    '--absolute-names',
    '--transform=flags=rSH;s,^,/,',
    `--directory=${tree}`,
    '--',
    ...entries.toSorted(),
  ]
}

/**
 * The uncompressed tar of a sealed tree. Nobody may write to the tree meanwhile.
 * A failure of tar destroys the stream with OciError.
 */
export function layerTar(tree: string, entries: readonly string[], owner: Owner): Readable {
  const child = start('tar', layerTarArguments(tree, entries, owner), {
    env: bareEnv({ LC_ALL: 'C' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out = new PassThrough({ highWaterMark: 1024 * 1024 })
  const complaints: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => complaints.push(chunk))
  child.stdout?.pipe(out, { end: false })
  child.on('error', (error) => out.destroy(new OciError('tar could not be started', error.message, error)))
  child.on('close', (code, signal) => {
    if (code === 0) out.end()
    else
      out.destroy(
        new OciError(`tar failed (${signal ?? code})`, Buffer.concat(complaints).toString().trim().slice(-500)),
      )
  })
  out.on('close', () => child.kill('SIGKILL'))
  return out
}
