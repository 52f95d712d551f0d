import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common'
import { Reflector } from '@nestjs/core'
import type { FastifyRequest } from 'fastify'
import { Authenticator } from './authenticator.js'
import { POLICY } from './policy.js'
import { rememberPrincipal } from './principal.js'
import type { PolicyName } from './roles.js'

/** Lets a request through when whoever asks may do what the route's policy names; the role is judged before any object is looked up. */
@Injectable()
export class PolicyGuard implements CanActivate {
  constructor(
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(Authenticator) private readonly authenticator: Authenticator,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const policy = this.reflector.getAllAndOverride<PolicyName | undefined>(POLICY, [
      context.getHandler(),
      context.getClass(),
    ])
    if (policy === undefined) throw new Error(`${context.getClass().name} has a route without a policy`)
    if (policy === 'public') return true
    const request = context.switchToHttp().getRequest<FastifyRequest>()
    const principal = await this.authenticator.authenticate(request.headers)
    if (policy !== 'signed-in') this.authenticator.require(principal, policy)
    rememberPrincipal(request, principal)
    return true
  }
}
