import { InvalidSpecError } from '../errors.js'

/** Where a server listens or a client calls. */
export type Address = { kind: 'unix'; path: string } | { kind: 'tcp'; host: string; port: number }

const MAX_PORT = 65_535

/** `unix:/path`, `tcp:127.0.0.1:7777`, `tcp:[::1]:7777`. @throws InvalidSpecError */
export function parseAddress(text: string): Address {
  const wrong = (why: string): InvalidSpecError =>
    new InvalidSpecError(`not an address: ${JSON.stringify(text)} (${why}); write unix:/path or tcp:host:port`)
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    if (!path.startsWith('/') || path.includes('\0')) throw wrong('the path of the socket is not absolute')
    return { kind: 'unix', path }
  }
  const match = /^tcp:(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > MAX_PORT) throw wrong('neither a socket path nor a host and a port')
  return { kind: 'tcp', host: match[1] ?? match[2] ?? '', port }
}

export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

/** Whether nobody but this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
