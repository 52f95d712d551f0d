import { createHash } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { z } from 'zod'

const portSchema = z.coerce.number().int().min(1).max(65535)

const environmentSchema = z.object({
  CROFT_HOME: z.string().startsWith('/'),
  CROFT_HOME_ID: z.string().min(1),
  CROFT_RUN: z.string().startsWith('/'),
  CROFT_DOMAIN: z.string().min(1).default('localhost'),
  CROFT_HTTP_PORT: portSchema.default(8080),
  CROFT_LISTEN: z.string().default('127.0.0.1,::1'),
  CROFT_PUBLIC_URL: z.url().optional(),
  /** Divides long waits; tests only. */
  CROFT_TIME_SCALE: z.coerce.number().positive().default(1),
})

export interface RouterConfig {
  /** What this router is called in the controller's register of routers: the same for the life of the home. */
  routerId: string
  /** Where the last table is kept. */
  stateFolder: string
  run: string
  domain: string
  /** Addresses to bind, IPv6 without brackets. */
  listen: string[]
  httpPort: number
  /** Origin of printed addresses; gives scheme and port of the forwarded headers. */
  publicUrl: URL
  timeScale: number
}

/** Reads the router's configuration from environment variables; a ZodError names each wrong one. */
export function parseConfig(environment: Record<string, string | undefined>): RouterConfig {
  const env = environmentSchema.parse(environment)
  return {
    routerId: routerIdOf(env.CROFT_HOME_ID),
    stateFolder: `${env.CROFT_HOME}/router`,
    run: env.CROFT_RUN,
    domain: env.CROFT_DOMAIN.toLowerCase(),
    listen: env.CROFT_LISTEN.split(',')
      .map((address) => address.trim().replace(/^\[|\]$/g, ''))
      .filter((address) => address !== ''),
    httpPort: env.CROFT_HTTP_PORT,
    publicUrl: new URL(env.CROFT_PUBLIC_URL ?? `http://${env.CROFT_DOMAIN}:${env.CROFT_HTTP_PORT}`),
    timeScale: env.CROFT_TIME_SCALE,
  }
}

/**
 * The addresses of `listen` that this host can bind: on a host without IPv6 the v6 ones are left out, because one address that
 * cannot be bound keeps HAProxy from starting at all.
 */
export function bindable(listen: readonly string[]): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const isIpv6 = addresses.some((entry) => entry.family === 'IPv6')
  return listen.filter((address) => {
    if (!address.includes(':')) return true
    return address === '::' ? isIpv6 : addresses.some((entry) => entry.address === address)
  })
}

/** Derived, not stored: a router that lost its disk is still the same router, and no deployment waits for its old self. */
function routerIdOf(homeId: string): string {
  const hex = createHash('sha256').update(`router:${homeId}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
