import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { AlreadyInUseError, ContainerNotFoundError, InvalidSpecError } from '../../errors.js'
import { commands } from '../commands.js'
import { runToEnd } from '../streams.js'
import { rounds, type Suite } from '../suite.js'

/** Handles, properties, lists, and what a destroyed container leaves. */
export function describeContainers(suite: Suite): void {
  describe('containers', () => {
    suite.api('C1: answers a ping and says how much room it has', async () => {
      await suite.backend.ping()
      const capacity = await suite.backend.capacity()
      for (const [what, amount] of Object.entries(capacity)) expect(amount, what).toBeGreaterThan(0)
      expect(Object.keys(capacity)).toHaveLength(4)
    })

    suite.api('I1, L4: creates a container under the handle it is given and lists it by its properties', async () => {
      const owner = randomUUID()
      await suite.withContainer(
        async (container) => {
          expect(container.handle).toBe(`c-${owner}`)
          const found = await suite.backend.containers({ owner })
          expect(found.map((one) => one.handle)).toEqual([container.handle])
          expect((await suite.backend.containers({ owner: 'nobody' })).length).toBe(0)
          const info = await container.info()
          expect(info).toMatchObject({ state: 'active', properties: { owner } })
          expect((await suite.backend.containers()).map((one) => one.handle)).toContain(container.handle)
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

    suite.api('L2: refuses a handle that is in use, by name', async () => {
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

    suite.api('refuses a privileged container unless its operator allows them', async () => {
      if ((await suite.backend.capabilities()).hasPrivileged) return
      await expect(suite.backend.create({ ...suite.base, isPrivileged: true })).rejects.toThrow('privileged')
    })

    suite.api('L2: knows nothing of a handle it never gave', async () => {
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

    suite.api('I1: sets, reads and removes properties', async () => {
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

    suite.api('I1: finds containers by all the properties asked for, also those set later', async () => {
      const owner = randomUUID()
      await suite.withContainer(
        async (first) => {
          await suite.withContainer(
            async (second) => {
              await second.setProperty('colour', 'blue')
              const handles = async (wanted: Record<string, string>): Promise<string[]> =>
                (await suite.backend.containers(wanted)).map((one) => one.handle)
              expect((await handles({ owner })).toSorted()).toEqual([first.handle, second.handle].toSorted())
              expect(await handles({ owner, colour: 'blue' })).toEqual([second.handle])
              expect(await handles({ owner, colour: 'red' })).toEqual([])
              expect((await second.info()).properties).toEqual({ owner, colour: 'blue' })
            },
            { properties: { owner } },
          )
        },
        { properties: { owner } },
      )
    })

    suite.api('L1: reports the limits of its creation', async () => {
      const limits = { memory: { limitBytes: 64 * 1024 * 1024 }, cpu: { limitInShares: 50 }, pids: { max: 64 } }
      await suite.withContainer(async (container) => expect(await container.limits()).toMatchObject(limits), { limits })
      await suite.withContainer(async (container) => {
        const { disk, bandwidth } = await container.limits()
        expect([disk?.byteHard ?? 0, bandwidth?.rateBytesPerSecond ?? 0]).toEqual([0, 0])
      })
    })

    suite.kernel(
      'L1: makes and destroys containers with a disk limit one after the other',
      async () => {
        for (let round = 0; round < rounds(10); round++)
          await suite.withContainer(
            async (container) => expect((await runToEnd(container, commands.exit(0))).exit.exitCode).toBe(0),
            { limits: { disk: { byteHard: 20 * 1024 * 1024, scope: 'exclusive' } } },
          )
      },
      { needs: ['diskQuota'] },
    )

    suite.api('L18, defect 3: keeps a grace time, of which 0 is never, and a lease', async () => {
      await suite.withContainer(
        async (container) => {
          expect(await container.graceTimeMs()).toBe(3_600_000)
          await container.setGraceTime(0)
          expect([await container.graceTimeMs(), (await container.info()).state]).toEqual([0, 'active'])
          const lease = { holder: 'the suite', expiresAtMs: Date.now() + 60_000 }
          await container.setLease(lease)
          expect(await container.lease()).toEqual(lease)
          await container.setLease(null)
          expect(await container.lease()).toBeNull()
        },
        { graceTimeMs: 3_600_000 },
      )
    })

    suite.api('defect 10: keeps a property under its very name, whatever is in it', async () => {
      await suite.withContainer(async (container) => {
        const keys = ['a+b', 'a b', 'a%2Bb', 'ä', 'k=v&x']
        for (const key of keys) await container.setProperty(key, `of ${key}`)
        expect(await container.properties()).toEqual(Object.fromEntries(keys.map((key) => [key, `of ${key}`])))
        for (const key of keys) await container.removeProperty(key)
        expect(await container.properties()).toEqual({})
      })
    })

    suite.api('defect 7: says of each of many what is wrong with it, by type', async () => {
      await suite.withContainer(async (container) => {
        for (const answers of [
          await suite.backend.bulkInfo(['nosuch', container.handle]),
          await suite.backend.bulkMetrics(['nosuch', container.handle]),
        ]) {
          expect(answers.get('nosuch')?.error).toBeInstanceOf(ContainerNotFoundError)
          expect(answers.get(container.handle)?.error).toBeUndefined()
        }
      })
    })

    suite.api('Z1: runs what it is given from a create to a destroy, many at once', async () => {
      await Promise.all(
        Array.from({ length: rounds(15, 4) }, async (_nothing, number) => {
          await suite.withContainer(async (container) => {
            expect((await runToEnd(container, commands.echo(`number ${number}`))).stdout.toString()).toBe(
              `number ${number}\n`,
            )
          })
        }),
      )
    })
  })
}
