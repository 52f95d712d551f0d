/** What a rollback does to the formation, once it serves. Pure. */

export interface RollbackFormation {
  /** Quantities as they are now. */
  present: Readonly<Record<string, number>>
  /** Process types of the release that comes back, without the release command. */
  types: readonly string[]
  /** Its quantities, when they are to come back too. */
  former: Readonly<Record<string, number>> | null
}

/** The quantities to set: types the release does not have go to 0, the others stay unless the former ones are asked for. */
export function rollbackFormation({ present, types, former }: RollbackFormation): Record<string, number> {
  const quantities: Record<string, number> = {}
  for (const type of Object.keys(present)) if (!types.includes(type)) quantities[type] = 0
  if (former === null) return quantities
  for (const type of types) {
    const quantity = Object.hasOwn(former, type) ? former[type] : undefined
    if (quantity !== undefined) quantities[type] = quantity
  }
  return quantities
}
