import { readdirSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import { ShimClient } from '../shim/client.js'
import type { Entry, Host, Pea, PeaState } from './host.js'
import { peaFolder, peasFolder, peaSocket } from './pea-names.js'

const FILE = 'pea.json'

/** Notes what is known of a sidecar, whole or not at all. */
export async function writePea(folder: string, state: PeaState): Promise<void> {
  await writeFile(join(folder, `${FILE}.new`), JSON.stringify(state), { mode: 0o600 })
  await rename(join(folder, `${FILE}.new`), join(folder, FILE))
}

/** Ids that have a folder, half-made ones too. */
export function listPeas(host: Host, handle: string): string[] {
  try {
    return readdirSync(peasFolder(host, handle))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

/** A sidecar out of its journal, or null when that was not written: then there is nothing but its folder. */
export async function readPea(host: Host, entry: Entry, id: string): Promise<Pea | null> {
  try {
    const state = JSON.parse(await readFile(join(peaFolder(host, entry.handle, id), FILE), 'utf8')) as PeaState
    return { id, state, client: new ShimClient(peaSocket(host, entry, state.number)) }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return null
    throw error
  }
}
