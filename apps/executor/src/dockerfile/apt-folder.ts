import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@croft/kit'

/**
 * `/etc/apt` for the commands of a Dockerfile in a stack: the stack's own, with the archives this host is configured with. It is
 * shown while commands run and is in no layer. `configuration` is the folder of tools/package-lists.sh, which builds see at `seenAt`.
 */
export async function makeAptFolder(folder: string, stackTree: string, configuration: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: 0o755 })
  await cp(join(stackTree, 'etc/apt'), folder, { recursive: true, verbatimSymlinks: true })
  await cp(join(configuration, 'keys'), join(folder, 'keys'), { recursive: true })
  const inside = (text: string): string => text.replaceAll('/cnb/croft/apt/current/', '/etc/apt/')
  const sources = join(configuration, 'sources.list.d')
  await mkdir(join(folder, 'sources.list.d'), { recursive: true, mode: 0o755 })
  for (const name of await readdir(sources)) {
    await writeFile(join(folder, 'sources.list.d', name), inside(await readFile(join(sources, name), 'utf8')))
  }
  // how archives are reached; where packages lie is another matter inside a Dockerfile's image
  const settings = (await readFile(join(configuration, 'apt.conf'), 'utf8')).match(/^Acquire::.*\n/gm) ?? []
  await writeFile(join(folder, 'apt.conf'), inside(settings.join('')))
  await cp(join(configuration, 'ca.crt'), join(folder, 'ca.crt')).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error // most hosts need none
  })
}
