import { CroftError } from '@croft/kit'

/** An image, manifest or layer that is not what it must be. */
export class OciError extends CroftError {
  constructor(title: string, detail?: string, cause?: unknown) {
    super({ code: 'oci', status: 422, title, kind: 'system', cause, ...(detail !== undefined && { detail }) })
  }
}

/** A registry that could not be reached, or answered what it must not. */
export class RegistryError extends CroftError {
  constructor(title: string, detail?: string, cause?: unknown) {
    super({ code: 'registry', status: 502, title, cause, ...(detail !== undefined && { detail }) })
  }
}

/** One that was tried for as long as it may be: trying again at once is no use. */
export class RegistryUnreachable extends RegistryError {}

/** What is asked for is not there. */
export class NotInRegistry extends RegistryError {}
