import { errnoOf } from '@croft/kit'
import { Depot } from './journal.js'

/** A container as its journal has it. */
export interface NotedContainer {
  handle: string
  properties: Readonly<Record<string, string>>
}

/** What a depot has noted of its containers, whichever daemon has it: nothing is locked, adopted or removed. None when it is not there. */
export async function readDepot(dir: string): Promise<NotedContainer[]> {
  const depot = new Depot(dir)
  try {
    return (await depot.list()).flatMap((handle) => {
      const entry = depot.read(handle)
      return entry === null ? [] : [{ handle, properties: entry.state.properties }]
    })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
