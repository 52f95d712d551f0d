import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { GardenError } from '../../errors.js'
import type { Address } from '../address.js'

/** Hosts that clients ask for beside addresses; Garden's own say `api`. */
const OUR_NAMES = new Set(['', 'api', 'localhost'])

/** What one who knows an address must show to be served. */
export interface AdmissionOptions {
  address: Address
  token?: string
  /** Clients show certificates, which TLS has looked at. */
  hasClientCertificates: boolean
}

export type Admission = (req: Pick<IncomingMessage, 'headers'>) => GardenError | null

/**
 * Who may call: with a token, who sends it. Whoever reaches a bare TCP address is trusted, and a web page in a browser of this
 * machine reaches it too: browsers tell where a page comes from, or ask for a host by a name that is not ours.
 */
export function admission(options: AdmissionOptions): Admission {
  const { address } = options
  const token = options.token === undefined ? undefined : digest(options.token)
  if (token !== undefined) return (req) => (sends(req, token) ? null : unauthorized())
  if (address.kind === 'unix' || options.hasClientCertificates) return () => null
  return ({ headers }) => {
    const site = headers['sec-fetch-site'] ?? 'none'
    return headers.origin !== undefined || site !== 'none' || !isOurs(headers.host ?? '') ? fromWeb() : null
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

function sends({ headers }: Pick<IncomingMessage, 'headers'>, token: Buffer): boolean {
  const match = /^Bearer (.+)$/i.exec(headers.authorization ?? '')
  return match !== null && timingSafeEqual(digest(match[1] ?? ''), token)
}

function isOurs(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return OUR_NAMES.has(name) || isIP(name) !== 0
}

function unauthorized(): GardenError {
  return new GardenError({
    code: 'unauthorized',
    status: 401,
    title: 'this server wants a token',
    suggestion: 'Send the header Authorization: Bearer TOKEN',
  })
}

function fromWeb(): GardenError {
  return new GardenError({
    code: 'from-web',
    status: 403,
    title: 'web pages may not use a server without a token',
    suggestion: 'Ask for it by its address, without the header Origin, or give the server a token',
  })
}
