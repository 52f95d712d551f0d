import { isIPv4 } from 'node:net'
import { describe, expect } from 'vitest'
import type { Suite } from '../suite.js'

/** Addresses, ports of the host, and the way out. */
export function describeNetwork(suite: Suite): void {
  describe('networks', () => {
    suite.api('gives every container an address of its own', async () => {
      await suite.withContainer(async (one) => {
        await suite.withContainer(async (two) => {
          const [first, second] = [await one.info(), await two.info()]
          expect([isIPv4(first.containerIp), isIPv4(second.containerIp)]).toEqual([true, true])
          expect(first.containerIp).not.toBe(second.containerIp)
        })
      })
    })

    suite.api(
      'maps a port of the host, chosen when none is asked for, and tells it in the info',
      async () => {
        await suite.withContainer(async (container) => {
          const mapped = await container.netIn({ containerPort: 8080 })
          expect(mapped).toEqual({ hostPort: expect.any(Number), containerPort: 8080 })
          expect(mapped.hostPort).toBeGreaterThan(1023)
          expect((await container.info()).mappedPorts).toEqual([mapped])
        })
      },
      { needs: ['hasNetIn'] },
    )
  })
}
