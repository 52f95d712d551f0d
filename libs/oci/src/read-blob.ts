import { createReadStream, type ReadStream } from 'node:fs'

/** A blob that is sent costs less for its bytes than for the turns that they take: Node's own 64 KiB make four times the work. */
const READ_BYTES = 1024 * 1024

/** The bytes of a blob that lies in a file. */
export function readBlob(path: string): ReadStream {
  return createReadStream(path, { highWaterMark: READ_BYTES })
}
