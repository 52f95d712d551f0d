import { HotFiles } from '../cgroup/hot-files.js'
import { errnoOf } from '@croft/kit'

const hot = new HotFiles()

/** Bytes a container received and sent, from the host's end of its pair; null when there is none. */
export function readLinkCounters(link: string): { rxBytes: number; txBytes: number } | null {
  const read = (name: string): number => Number(hot.read(link, `/sys/class/net/${link}/statistics/${name}`))
  try {
    /* what the host's end sends is what the container receives */
    return { rxBytes: read('tx_bytes'), txBytes: read('rx_bytes') }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}

/** Lets go of the counters of a link that goes. */
export const forgetLinkCounters = (link: string): void => hot.forget(link)
