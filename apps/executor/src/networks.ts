import { readFile } from 'node:fs/promises'

/**
 * The IPv4 ranges this host routes, from proc(5)'s little-endian hex: also to containers of other homes, whose addresses must not be
 * given twice on one host, but not to those of the home with index `k`.
 */
export async function takenNetworks(k: number): Promise<string[]> {
  return parseRoutes(await readFile('/proc/net/route', 'utf8').catch(() => ''), k)
}

/** The ranges in `/proc/net/route`; default routes, and routes to containers of home `k` (`c<k>-<n>`), are none. Pure. */
export function parseRoutes(table: string, k: number): string[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((row) => {
      const [name = '', destination = '', , , , , , mask = ''] = row.split('\t')
      if (mask === '' || destination === '00000000' || new RegExp(`^c${k}-\\d+$`).test(name)) return []
      const bits = Number.parseInt(mask, 16).toString(2).replaceAll('0', '').length
      const address = (destination.match(/../g) ?? [])
        .toReversed()
        .map((byte) => Number.parseInt(byte, 16))
        .join('.')
      return [`${address}/${bits}`]
    })
}
