/** The property of a container that says whose it is. */
export const OWNER_PROPERTY = 'croft.owner'

/** What an executor writes there: in a backend of its own all is its own. */
export const OWNER = 'executor'

/** The owner as it is written where containers of several platforms may be: in a container API of another process. Pure. */
export const ownerAmongOthers = (owner: string, homeId: string): string =>
  homeId === '' ? owner : `${owner} ${homeId}`

/** The property of a container that says whose instance it is, by its id. */
export const INSTANCE_PROPERTY = 'croft.instance'

/** What stands there first while a container is made ahead, for an instance that may come. */
export const SPARE_PREFIX = 'spare-'

/** Whether somebody is served or built for in a container with these properties. Pure. */
export function isOfInstance(properties: Readonly<Record<string, string>>): boolean {
  const instance = properties[INSTANCE_PROPERTY]
  return instance !== undefined && !instance.startsWith(SPARE_PREFIX)
}
