import { describe, expect, it } from 'vitest'
import { UsageMeter } from './usage-meter.js'

/** A tree whose walks take 50 ms on a clock of ours, and end when we say so. */
class Tree {
  nowMs = 0
  walks = 0
  bytes = 100
  isSmall = false
  isHeld = false
  readonly #held: (() => void)[] = []
  readonly meter = new UsageMeter({
    small: () => (this.isSmall ? { bytes: this.bytes, inodes: 1 } : null),
    any: async () => {
      this.walks += 1
      const { bytes } = this
      if (this.isHeld) await new Promise<void>((resolve) => this.#held.push(resolve))
      this.nowMs += 50
      return { bytes, inodes: 1 }
    },
    now: () => this.nowMs,
  })
  async finish(): Promise<void> {
    for (const release of this.#held.splice(0)) release()
    await new Promise((resolve) => setImmediate(resolve))
  }
  async read(): Promise<[number, number]> {
    const { usage, ageMs } = await this.meter.read('/up')
    return [usage.bytes, ageMs]
  }
}

describe('what a container holds', () => {
  it('is walked once a second while it is small', async () => {
    const tree = new Tree()
    tree.isSmall = true
    expect(await tree.read()).toEqual([100, 0])
    tree.bytes = 200
    tree.nowMs += 999
    expect(await tree.read()).toEqual([100, 999])
    tree.nowMs += 1
    expect(await tree.read()).toEqual([200, 0])
    expect(tree.walks).toBe(0)
  })
  it('is as of the last walk when it is big, and says how long ago that was', async () => {
    const tree = new Tree()
    await tree.read()
    tree.bytes = 200
    tree.nowMs += 900
    expect(await tree.read()).toEqual([100, 900])
    expect(tree.walks).toBe(1)
    tree.isHeld = true
    tree.nowMs += 100
    expect(await tree.read()).toEqual([100, 1000])
    expect(await tree.read()).toEqual([100, 1000])
    expect(tree.walks).toBe(2)
    await tree.finish()
    expect(await tree.read()).toEqual([200, 0])
    expect(tree.walks).toBe(2)
    tree.isHeld = false
    tree.meter.forget('/up')
    await tree.read()
    expect(tree.walks).toBe(3)
  })
  it('is walked once for those who ask at the same time', async () => {
    const tree = new Tree()
    tree.isHeld = true
    const both = Promise.all([tree.read(), tree.read()])
    await tree.finish()
    expect(await both).toEqual([
      [100, 0],
      [100, 0],
    ])
    expect(tree.walks).toBe(1)
  })
})
