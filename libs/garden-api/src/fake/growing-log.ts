const FIRST_BYTES = 4096

/** Bytes that are only appended, in room that doubles, so that a long log is not copied for each line of it. */
export class GrowingLog {
  #room = Buffer.alloc(0)
  #length = 0

  get length(): number {
    return this.#length
  }
  append(data: Buffer): void {
    const needed = this.#length + data.length
    if (needed > this.#room.length) {
      const room = Buffer.alloc(Math.max(FIRST_BYTES, needed, 2 * this.#room.length))
      this.#room.copy(room, 0, 0, this.#length)
      this.#room = room
    }
    data.copy(this.#room, this.#length)
    this.#length = needed
  }
  /** A copy of what is there from an offset on. */
  from(offset: number): Buffer {
    return Buffer.from(this.#room.subarray(Math.min(offset, this.#length), this.#length))
  }
}
