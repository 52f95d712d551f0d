import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { BuildSource } from './build-source.js'

/** Gives the streams and failures in turn. */
function controllerOf(...answers: (Readable | Error)[]): { asked: string[]; source(id: string): Promise<Readable> } {
  const asked: string[] = []
  return {
    asked,
    source: async (id) => {
      asked.push(id)
      const answer = answers[asked.length - 1]
      if (answer instanceof Readable) return answer
      throw answer ?? new Error('asked too often')
    },
  }
}
const { signal } = new AbortController()

describe('the source of a build', () => {
  it('is asked for at once, and once', async () => {
    const controller = controllerOf(Readable.from(['tar']))
    const source = new BuildSource(controller, 'b1', signal)
    expect(controller.asked).toEqual(['b1'])
    expect(await text(await source.stream())).toBe('tar')
    expect(controller.asked).toEqual(['b1'])
  })

  it('is asked for anew when it broke off while nobody read it, or could not be had', async () => {
    const broken = Readable.from(['tar'])
    for (const first of [broken, new Error('the controller is away')]) {
      const controller = controllerOf(first, Readable.from(['again']))
      const source = new BuildSource(controller, 'b1', signal)
      broken.destroy(new Error('nobody read'))
      expect(await text(await source.stream())).toBe('again')
      expect(controller.asked).toHaveLength(2)
    }
  })

  it('fails when it cannot be had then either', async () => {
    const source = new BuildSource(controllerOf(new Error('away'), new Error('still away')), 'b1', signal)
    await expect(source.stream()).rejects.toThrow('still away')
  })

  it('that nobody read is let go of', async () => {
    const unread = Readable.from(['tar'])
    const source = new BuildSource(controllerOf(unread), 'b1', signal)
    source.close()
    await new Promise((resolve) => unread.once('close', resolve))
    expect(unread.destroyed).toBe(true)
  })
})
