import { messageOf, run } from '@croft/kit'
import { AlreadyInUseError } from '@croft/garden-api'
import type { HomeNames } from '../home/naming.js'
import { takenPorts } from './host-ports.js'
import { deleteLink, listLinks } from './links.js'
import { leaveText, markOf, releaseText, REMOVE_SHARED_TABLE, SHARED_TABLE } from './port-plan.js'
import { nft } from './table-writer.js'

/** What of the network a home has beyond its containers: its range, its gateway's address, its table, its ports. */

const COMMAND_TIMEOUT_MS = 10_000

/** Deletes the home's table and the gateway's address on loopback. */
export async function removeHomeNetwork(names: HomeNames): Promise<void> {
  for (const link of await listLinks(names)) await deleteLink(link)
  await dropGateway(names)
  await dropRanges(names)
  await nft(`add table inet ${names.nftTable}\ndelete table inet ${names.nftTable}\n`)
  await leaveSharedTable(names)
}

/** Gives the home's ports back, and removes the table of all homes' ports when it was the last to have some. */
async function leaveSharedTable(names: HomeNames): Promise<void> {
  const { stdout } = await run('nft', ['list', 'tables', 'inet'], { timeoutMs: COMMAND_TIMEOUT_MS })
  if (!stdout.toString().split('\n').includes(`table inet ${SHARED_TABLE}`)) return
  const mine = [...(await takenPorts())].flatMap(([port, mark]) => (mark === markOf(names.index) ? [port] : []))
  await nft(releaseText(mine) + leaveText(names.index))
  try {
    await nft(REMOVE_SHARED_TABLE)
  } catch (error) {
    if (!/resource busy|No such file/.test(messageOf(error))) throw error
  }
}

/**
 * Makes the range ours, for every home on this host to see: an `unreachable` route for all of it, below the routes of the
 * containers that run. What is not there is then also refused at once instead of leaving through the default route.
 */
export async function reserveRange(range: string, names: HomeNames): Promise<void> {
  const route = ['unreachable', range, 'proto', String(names.routeProtocol)]
  const own = await routesOf(names)
  for (const other of own)
    if (other !== range) await run('ip', ['route', 'del', 'unreachable', other], { timeoutMs: COMMAND_TIMEOUT_MS })
  if (own.includes(range)) return
  try {
    await run('ip', ['route', 'add', ...route], { timeoutMs: COMMAND_TIMEOUT_MS })
  } catch (error) {
    if (messageOf(error).includes('File exists')) throw new AlreadyInUseError(`address range ${range}`)
    throw error
  }
}

/** The ranges a home has reserved. */
async function routesOf(names: HomeNames): Promise<string[]> {
  const command = ['-o', '-4', 'route', 'show', 'type', 'unreachable', 'proto', String(names.routeProtocol)]
  const { stdout } = await run('ip', command, { timeoutMs: COMMAND_TIMEOUT_MS })
  return [...stdout.toString().matchAll(/^unreachable (\S+)/gm)].map((match) => match[1] ?? '')
}

async function dropRanges(names: HomeNames): Promise<void> {
  for (const range of await routesOf(names))
    await run('ip', ['route', 'del', 'unreachable', range], { timeoutMs: COMMAND_TIMEOUT_MS })
}

/** The gateway's address on loopback is known by its label. */
export const gatewayLabel = (names: HomeNames): string => `lo:c${names.index}`

export async function dropGateway(names: HomeNames): Promise<void> {
  await run('ip', ['address', 'flush', 'dev', 'lo', 'label', gatewayLabel(names)], { timeoutMs: COMMAND_TIMEOUT_MS })
}
