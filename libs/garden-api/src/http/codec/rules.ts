import { HANDLE, HOSTNAME, PROCESS_ID } from '../../spec-rules.js'
import { text, type Decoder } from './fields.js'

/** What the texts of the container API must look like. */

const MAX_PATH_CHARACTERS = 4095

/** Handles that a route of their own hides: `GET /containers/bulk_info` is no container. */
const RESERVED_HANDLES = ['bulk_info', 'bulk_metrics', 'check', 'pause', 'resume']

/** What is wrong with a handle for a new container, or null. */
export function handleProblem(handle: string): string | null {
  if (!HANDLE.test(handle)) return `is not a handle: ${JSON.stringify(handle)} (letters, digits and ._:-, at most 128)`
  return RESERVED_HANDLES.includes(handle) ? `is reserved: ${handle}` : null
}

/** An empty handle or id counts as absent, as in Go. */
export const newHandle: Decoder<string> = text((value) => (value === '' ? null : handleProblem(value)))
export const newProcessId: Decoder<string> = text((value) =>
  value === '' || PROCESS_ID.test(value) ? null : `is not a process id: ${JSON.stringify(value)}`,
)

export const hostname: Decoder<string> = text((value) =>
  value === '' || HOSTNAME.test(value) ? null : `is not a host name: ${JSON.stringify(value)}`,
)

const pathProblem = (value: string): string | null => {
  if (value === '') return 'must not be empty'
  if (value.length > MAX_PATH_CHARACTERS) return `must not be longer than ${MAX_PATH_CHARACTERS} characters`
  return null
}

export const path: Decoder<string> = text(pathProblem)
export const absolutePath: Decoder<string> = text((value) =>
  value.startsWith('/') ? pathProblem(value) : `must be an absolute path, not ${JSON.stringify(value)}`,
)

export const envEntry: Decoder<string> = text((value) =>
  value.indexOf('=') >= 1 ? null : `must be NAME=value, not ${JSON.stringify(value.slice(0, 40))}`,
)

const NUMBER = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)'
const NETWORK = new RegExp(`^${NUMBER}(?:\\.${NUMBER}){3}(?:/(?:3[0-2]|[12]?\\d))?$`)

/** `a.b.c.d` or `a.b.c.d/n`; empty: the backend chooses. */
export const network: Decoder<string> = text((value) =>
  value === '' || NETWORK.test(value) ? null : `must be an IPv4 address or network, not ${JSON.stringify(value)}`,
)
