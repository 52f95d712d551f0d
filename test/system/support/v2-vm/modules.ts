import { readFile } from 'node:fs/promises'
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'

/** Module names are written with either. */
const canonical = (name: string): string => name.replaceAll('-', '_')

/** Which modules a kernel module needs, of its own words. */
async function needsOf(file: string): Promise<string[]> {
  const text = (await readFile(file)).toString('latin1')
  const found = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? ''
  return found.split(',').filter((name) => name !== '')
}

/**
 * Files of the named kernel modules and of all they need, each after what it needs.
 * @throws Error for a module the package lacks
 */
export async function moduleOrder(folder: string, names: readonly string[]): Promise<string[]> {
  const files = new Map(
    globSync('kernel/**/*.ko', { cwd: folder }).map((file) => [canonical(basename(file, '.ko')), join(folder, file)]),
  )
  const order = new Set<string>()
  const visit = async (name: string): Promise<void> => {
    const file = files.get(canonical(name))
    if (file === undefined) throw new Error(`the kernel package has no module ${name}`)
    if (order.has(file)) return
    for (const need of await needsOf(file)) await visit(need)
    order.add(file)
  }
  for (const name of names) await visit(name)
  return [...order]
}
