import { randomBytes } from 'node:crypto'

const WELL_FORMED = /^[A-Za-z0-9._~-]{8,200}$/

/** The id under which a request is found in every log: the router's when it gave one, else a new one. */
export function requestIdOf(header: string | string[] | undefined): string {
  return typeof header === 'string' && WELL_FORMED.test(header) ? header : randomBytes(10).toString('hex')
}
