import { OciError } from './errors.js'
import { isLoopbackHost } from './image-reference.js'

/** Where a platform publishes its images instead of keeping them itself. */
export interface RegistryPlace {
  /** Scheme, host and port of the API. */
  origin: string
  /** Host and port, as references have it. */
  host: string
  /** Repositories lie below it, without a slash at either end. */
  prefix: string
}

const NAMES = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/
const DEFAULT_PREFIX = 'croft'

/**
 * Reads `https://registry.example:5000/team/croft`; without a path it is `croft`. Plain HTTP only to this machine, or where it
 * `mayBePlain`. Pure. @throws OciError
 */
export function parseRegistryUrl(text: string, mayBePlain = false): RegistryPlace {
  const wrong = (why: string): OciError => new OciError(`${JSON.stringify(text.slice(0, 200))} is no registry`, why)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw wrong('write it as https://registry.example/croft')
  if (url.username !== '' || url.password !== '')
    throw new OciError('credentials are no part of the address of a registry')
  if (url.search !== '' || url.hash !== '') throw wrong('nothing may follow its path')
  if (url.protocol === 'http:' && !mayBePlain && !isLoopbackHost(url.host)) {
    throw new OciError(`${url.host} would be spoken to without encryption`, 'plain HTTP is for this machine')
  }
  const path = url.pathname.replace(/^\/+|\/+$/g, '')
  const prefix = path === '' ? DEFAULT_PREFIX : path
  if (!NAMES.test(prefix)) throw wrong('its path is made of lower-case letters, digits and single separators')
  return { origin: url.origin, host: url.host, prefix }
}
