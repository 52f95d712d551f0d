import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'
import { z } from 'zod'
import { writeFileWhole } from './write-file-whole.js'

/** Something Croft changed on the host outside its home, so that it can be undone. */
const hostChangeSchema = z.object({
  kind: z.enum(['package-installed', 'service-masked', 'user-added']),
  name: z.string(),
})
export type HostChange = z.infer<typeof hostChangeSchema>

const fileOf = (home: string): string => join(home, 'host-changes.json')

/** The changes a home has recorded, oldest first. */
export async function readHostChanges(home: string): Promise<HostChange[]> {
  try {
    return z.array(hostChangeSchema).parse(JSON.parse(await readFile(fileOf(home), 'utf8')))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

/** Adds changes to `<home>/host-changes.json`; one that is there already is not added again. */
export async function recordHostChange(home: string, ...changes: HostChange[]): Promise<void> {
  const known = await readHostChanges(home)
  const fresh = changes.filter(({ kind, name }) => !known.some((old) => old.kind === kind && old.name === name))
  if (fresh.length === 0) return
  await mkdir(home, { recursive: true, mode: 0o711 })
  writeFileWhole(fileOf(home), `${JSON.stringify([...known, ...fresh], null, 2)}\n`)
}

/** The lines `tools/host-setup.sh` leaves: `installed PACKAGE`, `masked SERVICE`. Pure. */
export function parseSetupChanges(text: string): HostChange[] {
  return text.split('\n').flatMap((line): HostChange[] => {
    const [what, name] = line.split(' ')
    if (name === undefined || name === '') return []
    if (what === 'installed') return [{ kind: 'package-installed', name }]
    return what === 'masked' ? [{ kind: 'service-masked', name }] : []
  })
}

/** Takes over what the launcher's set-up changed before there was a home. */
export async function takeOverSetupChanges(home: string, setupFolder: string): Promise<void> {
  const file = join(setupFolder, 'host-changes')
  const taken = `${file}.taken`
  try {
    await stat(file)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  await rename(file, taken)
  await recordHostChange(home, ...parseSetupChanges(await readFile(taken, 'utf8')))
  await rm(taken)
}
