import { readNow } from '../cgroup/files.js'
import { errnoOf } from '@croft/kit'

/** Bytes a container received and sent, from the host's end of its pair; null when there is none. */
export function readLinkCounters(link: string): { rxBytes: number; txBytes: number } | null {
  const read = (name: string): number => Number(readNow(`/sys/class/net/${link}/statistics/${name}`))
  try {
    /* what the host's end sends is what the container receives */
    return { rxBytes: read('tx_bytes'), txBytes: read('rx_bytes') }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}
