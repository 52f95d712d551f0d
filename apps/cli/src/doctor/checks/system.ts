import { readFile } from 'node:fs/promises'
import type { Check } from '../check.js'

const TESTED = ['12', '13']

/** Debian 12 and 13 are tested, others are not. */
export const system: Check = {
  name: 'system',
  phase: 'host',
  async run() {
    const text = await readFile('/etc/os-release', 'utf8')
    const value = (key: string): string => new RegExp(`^${key}="?([^"\n]*)"?$`, 'm').exec(text)?.[1] ?? ''
    const name = value('PRETTY_NAME')
    return value('ID') === 'debian' && TESTED.includes(value('VERSION_ID'))
      ? { status: 'ok', detail: name }
      : { status: 'warning', detail: `${name} is untested`, remedy: 'Debian 12 and 13 are tested' }
  },
}
