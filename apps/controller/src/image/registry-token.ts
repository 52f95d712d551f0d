import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

/** Tokens of the registry: signed, short-lived, for named repositories and actions (the distribution project's token protocol). Pure. */

/** A token is good for so long, seconds. */
export const REGISTRY_TOKEN_SECONDS = 300
const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')

const accessSchema = z.object({ type: z.string(), name: z.string(), actions: z.array(z.string()) })
const claimsSchema = z.object({
  iss: z.literal('croft'),
  aud: z.string(),
  /** Id of the Croft token it was given for. */
  sub: z.string(),
  /** Seconds since the epoch. */
  exp: z.number(),
  access: z.array(accessSchema),
})
/** What a token says. */
export type RegistryClaims = z.infer<typeof claimsSchema>
/** Actions on one repository. */
export type RegistryScope = z.infer<typeof accessSchema>

export function signClaims(claims: RegistryClaims, key: Buffer): string {
  const payload = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${payload}.${macOf(payload, key).toString('base64url')}`
}

/** The claims of a token of ours that has not expired, or null. */
export function verifyClaims(
  token: string,
  key: Buffer,
  expected: { audience: string; nowMs: number },
): RegistryClaims | null {
  const [header, body, mac, rest] = token.split('.', 4)
  if (header !== HEADER || body === undefined || mac === undefined || rest !== undefined) return null
  const given = Buffer.from(mac, 'base64url')
  const right = macOf(`${header}.${body}`, key)
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null
  const parsed = claimsSchema.safeParse(JSON.parse(Buffer.from(body, 'base64url').toString('utf8')))
  if (!parsed.success || parsed.data.aud !== expected.audience || parsed.data.exp * 1000 <= expected.nowMs) return null
  return parsed.data
}

/** To list the repositories. */
export const CATALOG_SCOPE = 'registry:catalog:*'

/** `repository:NAME:pull,push` or `registry:catalog:*`, several of them apart by spaces or repeated; what is none is left out. */
export function parseScopes(scope: string | readonly string[] | undefined): RegistryScope[] {
  return (typeof scope === 'string' ? [scope] : (scope ?? []))
    .flatMap((text) => text.split(' '))
    .flatMap((text) => {
      const [type, name, actions, rest] = text.split(':', 4)
      if (text === CATALOG_SCOPE) return [{ type: 'registry', name: 'catalog', actions: ['*'] }]
      if (type !== 'repository' || name === undefined || actions === undefined || rest !== undefined) return []
      return [{ type, name, actions: actions.split(',') }]
    })
}

function macOf(text: string, key: Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
