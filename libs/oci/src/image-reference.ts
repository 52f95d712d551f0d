import { isDigest, type Digest } from '@croft/kit'
import { OciError } from './errors.js'

/** Where an image is to be had: `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`. */
export interface ImageReference {
  /** Host and port as written, `docker.io` when there is none. */
  host: string
  /** Of the repository, e.g. `library/nginx`. */
  name: string
  tag: string | null
  digest: Digest | null
}

const HOST = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i
const NAME = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const MAX_LENGTH = 512

/**
 * Reads a reference as Docker does: the first part is a host when it has a dot or a port or is `localhost`; a name without host
 * and slash is one of Docker's library; without tag and digest it means `latest`. Pure. @throws OciError
 */
export function parseReference(text: string): ImageReference {
  const wrong = (why: string): OciError => new OciError(`${JSON.stringify(text.slice(0, 100))} names no image`, why)
  if (text.length > MAX_LENGTH) throw wrong('it is too long')
  const at = text.indexOf('@')
  const digest = at === -1 ? null : text.slice(at + 1)
  if (digest !== null && !isDigest(digest)) throw wrong('what follows the @ is not a sha256 digest')
  let rest = at === -1 ? text : text.slice(0, at)
  const slash = rest.indexOf('/')
  const first = slash === -1 ? '' : rest.slice(0, slash)
  const hasHost = first === 'localhost' || /[.:]/.test(first)
  if (hasHost && !HOST.test(first)) throw wrong('its first part is not a host')
  const host = hasHost ? first : 'docker.io'
  if (hasHost) rest = rest.slice(slash + 1)
  const colon = rest.lastIndexOf(':')
  const tag = colon === -1 ? null : rest.slice(colon + 1)
  if (tag !== null && !TAG.test(tag)) throw wrong('what follows the colon is not a tag')
  const name = colon === -1 ? rest : rest.slice(0, colon)
  if (!NAME.test(name)) throw wrong('a name is made of lower-case letters, digits and single separators')
  const isLibrary = host === 'docker.io' && !name.includes('/')
  return { host, name: isLibrary ? `library/${name}` : name, tag: tag ?? (digest === null ? 'latest' : null), digest }
}

/** Whether a host is this machine: the only one that may be spoken to without TLS. Pure. */
export function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '')
  return name === 'localhost' || name.endsWith('.localhost') || /^127(\.\d{1,3}){3}$/.test(name) || name === '[::1]'
}

/** The origin a registry answers at. Pure. */
export function originOf(host: string): string {
  if (host === 'docker.io') return 'https://registry-1.docker.io'
  return `${isLoopbackHost(host) ? 'http' : 'https'}://${host}`
}
