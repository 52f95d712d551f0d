import { readFile } from 'node:fs/promises'
import { errnoOf } from '@croft/kit'

/** Bytes a container received and sent, from the host's end of its pair; null when there is none. */
export async function readLinkCounters(link: string): Promise<{ rxBytes: number; txBytes: number } | null> {
  const read = async (name: string): Promise<number> =>
    Number(await readFile(`/sys/class/net/${link}/statistics/${name}`, 'utf8'))
  try {
    /* what the host's end sends is what the container receives */
    const [rxBytes, txBytes] = await Promise.all([read('tx_bytes'), read('rx_bytes')])
    return { rxBytes, txBytes }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}
