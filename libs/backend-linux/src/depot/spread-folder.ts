import { mkdir } from 'node:fs/promises'
import { run } from '@croft/kit'

const COMMAND_TIMEOUT_MS = 5_000

/**
 * Makes a folder, only its owner's, whose folders have nothing to do with each other. ext4 then lays each into a part of the disk of
 * its own; in the part of them all it would look, for each file of a new container, through all that the last ones have left.
 */
export async function makeSpreadFolder(path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true, mode: 0o700 })) === undefined) return // it is as it was made
  await run('chattr', ['+T', '--', path], { timeoutMs: COMMAND_TIMEOUT_MS }).catch(() => undefined) // others know no such thing
}
