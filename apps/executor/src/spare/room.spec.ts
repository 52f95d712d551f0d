import { describe, expect, it } from 'vitest'
import { hasRoom } from './room.js'

describe('a container made in advance', () => {
  it.each<[string, Parameters<typeof hasRoom>[0], boolean]>([
    ['where there is room', { containers: 3, maxContainers: 250, availableBytes: 2 ** 30 }, true],
    ['where instances may want the last ones', { containers: 249, maxContainers: 250, availableBytes: 2 ** 30 }, false],
    ['where memory is short', { containers: 3, maxContainers: 250, availableBytes: 2 ** 27 }, false],
  ])('is kept only %s', (_where, node, isKept) => expect(hasRoom(node)).toBe(isKept))
})
