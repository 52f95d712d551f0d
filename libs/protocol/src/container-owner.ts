/** The property of a container that says whose it is. */
export const OWNER_PROPERTY = 'croft.owner'

/** What an executor writes there: in a backend of its own all is its own. */
export const OWNER = 'executor'

/** The owner as it is written where containers of several platforms may be: in a container API of another process. Pure. */
export const ownerAmongOthers = (owner: string, homeId: string): string =>
  homeId === '' ? owner : `${owner} ${homeId}`
