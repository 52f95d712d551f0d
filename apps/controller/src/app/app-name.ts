import { CroftError } from '@croft/kit'

/** Hosts of the platform itself; no app can have them. */
export const RESERVED_NAMES: readonly string[] = ['croft', 'api', 'git', 'registry', 'dashboard', 'www']

const WELL_FORMED = /^[a-z][a-z0-9-]{1,38}[a-z0-9]$/

/** A name no app can ever have. */
export class InvalidAppName extends CroftError {
  constructor(name: string) {
    super({
      code: 'name-invalid',
      status: 400,
      title: `${JSON.stringify(name.slice(0, 60))} is not a name for an app`,
      detail: 'it becomes a host name: 3 to 40 of a-z, 0-9 and -, a letter first, no - last',
      fields: { name: 'must match [a-z][a-z0-9-]{1,38}[a-z0-9]' },
      suggestion: `try ${suggestName(name)}`,
    })
  }
}

/** Taken, reserved or in quarantine: one answer, so that nobody learns whose name it is. */
export class NameUnavailable extends CroftError {
  constructor(name: string) {
    super({
      code: 'name-unavailable',
      status: 409,
      title: `the name ${name} is not available`,
      detail: 'names are unique on a platform, and some are reserved',
      suggestion: 'choose another name',
    })
  }
}

/** @throws InvalidAppName, NameUnavailable for a reserved one. Pure. */
export function checkAppName(name: string): void {
  if (!WELL_FORMED.test(name)) throw new InvalidAppName(name)
  if (RESERVED_NAMES.includes(name)) throw new NameUnavailable(name)
}

/** Whether a text could be the name of an app. Pure. */
export function isAppName(name: string): boolean {
  return WELL_FORMED.test(name)
}

/** The well-formed name nearest to what somebody typed. */
function suggestName(name: string): string {
  const near = name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 40)
    .replace(/-+$/, '')
  return WELL_FORMED.test(near) ? near : 'my-app'
}
