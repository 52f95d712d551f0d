import { CroftError } from '@croft/kit'
import type { Action, Role } from './roles.js'

/** No credentials, or none that are valid (any more): one answer for unknown, expired and revoked. */
export class Unauthenticated extends CroftError {
  constructor(hasCredentials: boolean) {
    super({
      code: 'unauthenticated',
      status: 401,
      title: hasCredentials ? 'this token is not valid' : 'this needs a token',
      detail: hasCredentials ? 'it is unknown, expired or revoked' : 'no credentials were sent',
      suggestion:
        'send a token as password (git) or as "Authorization: Bearer TOKEN" (API); on the host of the platform: croft git:remote -a APP',
    })
  }
}

/** The role does not allow it, whatever the object. */
export class Forbidden extends CroftError {
  constructor(role: Role, action: Action) {
    super({
      code: 'forbidden',
      status: 403,
      title: `a token of role ${role} may not do this`,
      detail: `it needs ${action}`,
      suggestion: 'use a token with a role that may, or ask an owner of the team',
    })
  }
}

/** Credentials in clear text over a network; whoever listened has them now. */
export class PlainHttpRefused extends CroftError {
  constructor(host: string) {
    super({
      code: 'plain-http',
      status: 403,
      title: 'tokens are not taken over plain HTTP from another machine',
      detail: 'everybody on the way could read it',
      suggestion: `use https://${host}, put a TLS proxy on the platform's host in front, or work on that host itself; then replace this token`,
    })
  }
}
