/** The token a request carries: `Authorization: Bearer T`, or `Basic` with the token as password; undefined without credentials. Pure. */
export function tokenOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined
  const [scheme, value] = authorization.trim().split(/\s+/, 2)
  if (value === undefined) return ''
  switch (scheme?.toLowerCase()) {
    case 'bearer':
      return value
    case 'basic': {
      const decoded = Buffer.from(value, 'base64').toString('utf8')
      const colon = decoded.indexOf(':')
      return colon === -1 ? '' : decoded.slice(colon + 1)
    }
    default:
      return ''
  }
}

export interface Transport {
  /** The platform's domain. */
  domain: string
  /** As the router set it. */
  forwardedProto: string | undefined
  /** As the router set it; only its last address was seen by the router itself. */
  forwardedFor: string | undefined
}

/** Whether credentials may travel this way: HTTPS, this host itself, or a platform that only serves this host. Pure. */
export function isSafeTransport(transport: Transport): boolean {
  if (transport.domain === 'localhost') return true
  if (transport.forwardedProto?.trim().toLowerCase() === 'https') return true
  const seen = transport.forwardedFor?.split(',').at(-1)?.trim() ?? ''
  return isLoopback(seen)
}

function isLoopback(address: string): boolean {
  const plain = address.replace(/^\[|\]$/g, '').replace(/^::ffff:/i, '')
  return plain === '::1' || /^127(\.\d{1,3}){3}$/.test(plain)
}
