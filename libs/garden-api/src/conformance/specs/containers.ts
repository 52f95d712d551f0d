import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { AlreadyInUseError, ContainerNotFoundError, InvalidSpecError } from '../../errors.js'
import { commands } from '../commands.js'
import type { Suite } from '../suite.js'

/** Handles, properties, lists, and what a destroyed container leaves. */
export function describeContainers(suite: Suite): void {
  describe('containers', () => {
    suite.api('answers a ping and says how much room it has', async () => {
      await suite.backend.ping()
      expect((await suite.backend.capacity()).maxContainers).toBeGreaterThan(0)
    })

    suite.api('creates a container under the handle it is given and lists it by its properties', async () => {
      const owner = randomUUID()
      await suite.withContainer(
        async (container) => {
          expect(container.handle).toBe(`c-${owner}`)
          const found = await suite.backend.containers({ owner })
          expect(found.map((one) => one.handle)).toEqual([container.handle])
          expect((await suite.backend.containers({ owner: 'nobody' })).length).toBe(0)
          const info = await container.info()
          expect(info).toMatchObject({ state: 'active', properties: { owner } })
        },
        { handle: `c-${owner}`, properties: { owner } },
      )
    })

    suite.api('makes up a handle when none is given', async () => {
      await suite.withContainer(async (container) => {
        expect(container.handle).toMatch(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/)
        expect((await suite.backend.lookup(container.handle)).handle).toBe(container.handle)
      })
    })

    suite.api('refuses a handle that is in use, by name', async () => {
      await suite.withContainer(async (container) => {
        await expect(suite.backend.create({ ...suite.base, handle: container.handle })).rejects.toThrow(
          AlreadyInUseError,
        )
        await expect(suite.backend.create({ ...suite.base, handle: container.handle })).rejects.toThrow(
          `Handle '${container.handle}' already in use`,
        )
      })
    })

    suite.api('lets one of two creates of one handle win', async () => {
      const handle = `twice-${randomUUID()}`
      const results = await Promise.allSettled(
        [1, 2].map(async () => await suite.backend.create({ ...suite.base, handle })),
      )
      expect(results.map((result) => result.status).toSorted()).toEqual(['fulfilled', 'rejected'])
      await suite.backend.destroy(handle)
    })

    for (const handle of ['', '../up', 'a/b', '.hidden', 'a'.repeat(129)])
      suite.api(`refuses ${JSON.stringify(handle)} as a handle`, async () => {
        await expect(suite.backend.create({ ...suite.base, handle })).rejects.toThrow(InvalidSpecError)
      })

    suite.api('refuses a privileged container', async () => {
      await expect(suite.backend.create({ ...suite.base, isPrivileged: true })).rejects.toThrow('privileged')
    })

    suite.api('knows nothing of a handle it never gave', async () => {
      await expect(suite.backend.lookup('nosuch')).rejects.toThrow(ContainerNotFoundError)
      await expect(suite.backend.destroy('nosuch')).rejects.toThrow('unknown handle: nosuch')
      await suite.backend.destroy('nosuch', { ifExists: true })
      const infos = await suite.backend.bulkInfo(['nosuch'])
      expect(infos.get('nosuch')?.error).toBeInstanceOf(ContainerNotFoundError)
    })

    suite.api('forgets a destroyed container and lets its handle be used again', async () => {
      const container = await suite.backend.create({ ...suite.base, handle: 'again' })
      await Promise.all([suite.backend.destroy('again'), suite.backend.destroy('again', { ifExists: true })])
      await expect(container.info()).rejects.toThrow(ContainerNotFoundError)
      await expect(container.run(commands.exit(0))).rejects.toThrow(ContainerNotFoundError)
      await suite.backend.create({ ...suite.base, handle: 'again' })
      await suite.backend.destroy('again')
    })

    suite.api('keeps an address for the one who asked for it, until it is free again', async () => {
      const first = await suite.backend.create(suite.base)
      const address = (await first.info()).containerIp
      await expect(suite.backend.create({ ...suite.base, network: address })).rejects.toThrow(AlreadyInUseError)
      await suite.backend.destroy(first.handle)
      await suite.withContainer(async (container) => expect((await container.info()).containerIp).toBe(address), {
        network: address,
      })
    })

    suite.api('sets, reads and removes properties', async () => {
      await suite.withContainer(async (container) => {
        await container.setProperty('colour', 'blue')
        expect(await container.properties()).toEqual({ colour: 'blue' })
        await container.removeProperty('colour')
        expect(await container.properties()).toEqual({})
        await expect(container.removeProperty('colour')).rejects.toThrow('property does not exist: colour')
      })
    })

    suite.api('tells measurements and facts of many containers at once', async () => {
      await suite.withContainer(async (container) => {
        const metrics = (await suite.backend.bulkMetrics([container.handle, 'nosuch'])).get(container.handle)?.value
        expect(metrics?.ageMs).toBeGreaterThanOrEqual(0)
        expect((await suite.backend.bulkInfo([container.handle])).get(container.handle)?.value?.state).toBe('active')
      })
    })
  })
}
