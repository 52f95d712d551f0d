/** A run of a file's blocks that lie on the disk. */
export interface Extent {
  /** In blocks, from the beginning of the file. */
  block: number
  count: number
}

const MAX_EXTENT_BLOCKS = 16_384

/** The extents in the answer of `filefrag -v`; null when it is no such answer, or one extent is unreasonably long. Pure. */
export function parseExtents(text: string): Extent[] | null {
  if (!/^ ext: +logical_offset:/m.test(text)) return null
  const found = [...text.matchAll(/^ *\d+: +(\d+)\.\. *(\d+): /gm)].map((match) => {
    const block = Number(match[1])
    return { block, count: Number(match[2]) - block + 1 }
  })
  return found.length === 0 || found.some(({ count }) => count < 1 || count > MAX_EXTENT_BLOCKS) ? null : found
}
