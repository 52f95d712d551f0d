import { CroftError } from '@croft/kit'

/** No such app, or one of another team: the answer is the same. */
export class AppNotFound extends CroftError {
  constructor(name: string) {
    super({
      code: 'app-not-found',
      status: 404,
      title: `there is no app ${name.slice(0, 60)}`,
      suggestion: 'croft apps lists the apps of your team',
    })
  }
}

/** The team has as many apps as it may. */
export class TeamFull extends CroftError {
  constructor(team: string, limit: number) {
    super({
      code: 'team-full',
      status: 409,
      title: `team ${team} has as many apps as it may (${limit})`,
      suggestion: 'destroy an app (croft apps:destroy APP --confirm APP), or ask whoever runs this platform for more',
    })
  }
}

/** Destroying takes the name a second time. */
export class NotConfirmed extends CroftError {
  constructor(name: string) {
    super({
      code: 'not-confirmed',
      status: 400,
      title: `${name} was not destroyed`,
      detail: 'destroying an app stops it and cannot be undone, so its name must be given twice',
      fields: { confirm: `must be ${name}` },
      suggestion: `croft apps:destroy ${name} --confirm ${name}`,
    })
  }
}

/** A builder image that operators let no app name. */
export class BuilderNotAllowed extends CroftError {
  constructor(cause: string, suggestion: string) {
    super({ code: 'builder-not-allowed', status: 403, title: cause, suggestion })
  }
}
