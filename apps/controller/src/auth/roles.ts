/** What a principal may do inside its team; every route names one of these. */
export type Action =
  /** Names, states, addresses, releases, builds: no config values. */
  | 'app:read'
  | 'app:create'
  /** Scale, restart, change settings. */
  | 'app:write'
  | 'app:destroy'
  /** Push, build, deploy, roll back; also clone and fetch. */
  | 'app:deploy'
  | 'log:read'
  /** See config values. */
  | 'config:read'
  | 'config:write'
  /** Pull an app's images. */
  | 'image:read'
  /** Members and tokens of the team. */
  | 'team:manage'
  /** Central IT: nodes, platform settings. */
  | 'platform:operate'

/** `public` needs no credentials; `signed-in` any valid ones. */
export type PolicyName = Action | 'public' | 'signed-in'

export type Role = 'operator' | 'owner' | 'developer' | 'viewer' | 'machine'

const READ = ['app:read', 'log:read', 'image:read'] as const satisfies Action[]
const DELIVER = ['app:create', 'app:deploy'] as const satisfies Action[]
const DEVELOP = [...READ, ...DELIVER, 'app:write', 'app:destroy', 'config:read', 'config:write'] as const
const OWN = [...DEVELOP, 'team:manage'] as const

/**
 * Who may do what. A viewer never sees config values; a machine token delivers and reads what it delivered; the operator's
 * token belongs to a team and acts there as an owner, and operates the platform.
 */
export const ROLES: Readonly<Record<Role, readonly Action[]>> = {
  viewer: READ,
  machine: [...READ, ...DELIVER],
  developer: DEVELOP,
  owner: OWN,
  operator: [...OWN, 'platform:operate'],
}

/** Whether a role allows an action. Pure. */
export function allows(role: Role, action: Action): boolean {
  return ROLES[role].includes(action)
}
