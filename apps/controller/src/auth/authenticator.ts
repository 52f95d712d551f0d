import { Inject, Injectable } from '@nestjs/common'
import type { IncomingHttpHeaders } from 'node:http'
import type { ControllerConfig } from '../config.js'
import { CONFIG } from '../tokens.js'
import { isSafeTransport, tokenOf } from './credentials.js'
import { Forbidden, PlainHttpRefused, Unauthenticated } from './errors.js'
import type { Principal } from './principal.js'
import { allows, type Action } from './roles.js'
import { TokenService } from './token.service.js'

/** Turns the headers of a request into who is asking. */
@Injectable()
export class Authenticator {
  constructor(
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(TokenService) private readonly tokens: TokenService,
  ) {}

  /** @throws PlainHttpRefused for credentials that travelled in clear text over a network */
  refuseUnsafe(headers: IncomingHttpHeaders): void {
    const isSafe = isSafeTransport({
      domain: this.config.domain,
      forwardedProto: one(headers['x-forwarded-proto']),
      forwardedFor: one(headers['x-forwarded-for']),
    })
    // before anybody is asked for a password: a challenge would make git send one
    if (!isSafe) throw new PlainHttpRefused(`croft.${this.config.domain}`)
  }

  /** @throws Unauthenticated, PlainHttpRefused */
  async authenticate(headers: IncomingHttpHeaders): Promise<Principal> {
    this.refuseUnsafe(headers)
    const token = tokenOf(headers.authorization)
    if (token === undefined) throw new Unauthenticated(false)
    const principal = token === '' ? undefined : await this.tokens.find(token)
    if (principal === undefined) throw new Unauthenticated(true)
    return principal
  }

  /** @throws Forbidden when the principal's role does not allow the action. */
  require(principal: Principal, action: Action): void {
    if (!allows(principal.role, action)) throw new Forbidden(principal.role, action)
  }
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(',') : header
}
