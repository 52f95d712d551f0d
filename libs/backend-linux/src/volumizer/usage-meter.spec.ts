import { describe, expect, it } from 'vitest'
import { UsageMeter } from './usage-meter.js'

/** A tree whose walks take a given time on a clock of ours. */
class Tree {
  nowMs = 0
  walks = 0
  bytes = 100
  tookMs = 0
  #release: (() => void)[] = []
  readonly meter = new UsageMeter(
    async () => {
      this.walks += 1
      const { bytes } = this
      if (this.isSlow) await new Promise<void>((resolve) => this.#release.push(resolve))
      this.nowMs += this.tookMs
      return { bytes, inodes: 1 }
    },
    () => this.nowMs,
  )
  isSlow = false
  async finish(): Promise<void> {
    for (const release of this.#release.splice(0)) release()
    await new Promise((resolve) => setImmediate(resolve))
  }
  async read(): Promise<[number, number]> {
    const { usage, ageMs } = await this.meter.read('/up')
    return [usage.bytes, ageMs]
  }
}

describe('what a container holds', () => {
  it('is walked for each answer while that is quick', async () => {
    const tree = new Tree()
    expect(await tree.read()).toEqual([100, 0])
    tree.bytes = 200
    expect(await tree.read()).toEqual([200, 0])
  })
  it('is as of the last walk when walking takes long, and says how long ago that was', async () => {
    const tree = new Tree()
    tree.tookMs = 50
    await tree.read()
    tree.bytes = 200
    tree.nowMs += 900
    expect(await tree.read()).toEqual([100, 900])
    expect(tree.walks).toBe(1)
    tree.isSlow = true
    tree.nowMs += 100
    expect(await tree.read()).toEqual([100, 1000])
    expect(await tree.read()).toEqual([100, 1000])
    expect(tree.walks).toBe(2)
    await tree.finish()
    expect(await tree.read()).toEqual([200, 0])
    expect(tree.walks).toBe(2)
  })
  it('is walked once for those who ask at the same time', async () => {
    const tree = new Tree()
    tree.isSlow = true
    const both = Promise.all([tree.read(), tree.read()])
    await tree.finish()
    expect(await both).toEqual([
      [100, 0],
      [100, 0],
    ])
    expect(tree.walks).toBe(1)
  })
})
