import { CroftError } from '@croft/kit'

const WELL_FORMED = /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]{0,127}$/
/** All values of an app together; they travel in the environment of every process. */
const TOTAL_LIMIT_BYTES = 64 * 1024

/** A config var that cannot be an environment variable, or is the platform's own. */
export class InvalidConfigVar extends CroftError {
  constructor(fields: Record<string, string>) {
    super({
      code: 'config-invalid',
      status: 400,
      title: 'config vars were not changed',
      detail: Object.entries(fields)
        .map(([name, why]) => `${name} ${why}`)
        .join('; '),
      fields,
    })
  }
}

/** What keeps a name from being a config var, or undefined. Pure. */
export function objectionToName(name: string): string | undefined {
  if (!WELL_FORMED.test(name)) return 'is not a name of an environment variable (letters, digits and _, no digit first)'
  if (name === 'PORT' || name.startsWith('CROFT_')) return 'is set by the platform'
  return undefined
}

/** @throws InvalidConfigVar naming every wrong one; values never appear in it. Pure. */
export function checkConfig(set: Readonly<Record<string, string>>): void {
  // entries, not assignments: `__proto__` is a name somebody may send
  const fields = Object.fromEntries(
    Object.entries(set).flatMap(([name, value]) => {
      const why = objectionToName(name) ?? (value.includes('\0') ? 'has a NUL character in its value' : undefined)
      return why === undefined ? [] : [[name.slice(0, 128), why]]
    }),
  )
  if (Object.keys(fields).length > 0) throw new InvalidConfigVar(fields)
}

/** What keeps these from being all of an app's config vars together, or undefined. Pure. */
export function objectionToSize(all: Readonly<Record<string, string>>): string | undefined {
  const bytes = Object.entries(all).reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value) + 2, 0)
  return bytes <= TOTAL_LIMIT_BYTES ? undefined : `would be ${bytes} bytes in all; ${TOTAL_LIMIT_BYTES} is the most`
}

/** @throws InvalidConfigVar when all values together are larger than an environment may be. Pure. */
export function checkConfigSize(all: Readonly<Record<string, string>>): void {
  const objection = objectionToSize(all)
  if (objection !== undefined) throw new InvalidConfigVar({ config: objection })
}
