import { readFile } from 'node:fs/promises'

/** The IPv4 ranges this host routes, but those of containers of ours (`c<k>-<n>`), from proc(5)'s little-endian hex. */
export async function takenNetworks(): Promise<string[]> {
  return parseRoutes(await readFile('/proc/net/route', 'utf8').catch(() => ''))
}

/** The ranges in `/proc/net/route`. Default routes and single container addresses are none. Pure. */
export function parseRoutes(table: string): string[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((row) => {
      const [name = '', destination = '', , , , , , mask = ''] = row.split('\t')
      if (mask === '' || destination === '00000000' || /^c\d+-\d+$/.test(name)) return []
      const bits = [...Number.parseInt(mask, 16).toString(2)].filter((bit) => bit === '1').length
      const address = (destination.match(/../g) ?? [])
        .toReversed()
        .map((byte) => Number.parseInt(byte, 16))
        .join('.')
      return [`${address}/${bits}`]
    })
}
