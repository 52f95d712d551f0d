import { createParamDecorator, type ExecutionContext } from '@nestjs/common'
import type { TeamId } from '@croft/kit'
import type { FastifyRequest } from 'fastify'
import type { Role } from './roles.js'

/** Who is asking: a token, acting in one team. */
export interface Principal {
  tokenId: string
  teamId: TeamId
  role: Role
  /** What is written as author and actor, e.g. `operator`. */
  name: string
}

const PRINCIPALS = new WeakMap<FastifyRequest, Principal>()

/** Remembers who is asking for the rest of a request. */
export function rememberPrincipal(request: FastifyRequest, principal: Principal): void {
  PRINCIPALS.set(request, principal)
}

/** Who is asking; a programming error on a route whose policy is `public`. */
export function principalOf(request: FastifyRequest): Principal {
  const principal = PRINCIPALS.get(request)
  if (principal === undefined) throw new Error('this route is public: it has no principal')
  return principal
}

/** Parameter of a handler: who is asking. */
export const Who = createParamDecorator((_data: unknown, context: ExecutionContext) =>
  principalOf(context.switchToHttp().getRequest<FastifyRequest>()),
)
