import { homeNames } from '@croft/backend-linux'
import { run } from '@croft/kit'
import { z } from 'zod'

const COMMAND_TIMEOUT_MS = 5_000

/** The part of ip-route(8)'s JSON that is looked at. */
const routesSchema = z.array(
  z.looseObject({ dst: z.string(), dev: z.string().optional(), protocol: z.string().optional() }),
)

/**
 * The IPv4 ranges this host routes: its networks, and what other homes have reserved and use, whose addresses must not be given
 * twice on one host; but nothing of the home with index `k`.
 */
export async function takenNetworks(k: number): Promise<string[]> {
  const { stdout } = await run('ip', ['-json', '-4', 'route', 'show', 'table', 'main'], {
    timeoutMs: COMMAND_TIMEOUT_MS,
  })
  return rangesOf(JSON.parse(stdout.toString()), k)
}

/** The ranges in ip-route's JSON; default routes and the routes of home `k` are none. Pure. */
export function rangesOf(routes: unknown, k: number): string[] {
  const own = homeNames(k)
  return routesSchema
    .parse(routes)
    .filter(
      ({ dst, dev, protocol }) =>
        dst !== 'default' && protocol !== String(own.routeProtocol) && dev?.startsWith(own.linkPrefix) !== true,
    )
    .map(({ dst }) => (dst.includes('/') ? dst : `${dst}/32`))
}
