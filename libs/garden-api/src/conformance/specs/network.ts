import { connect, isIPv4 } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect } from 'vitest'
import type { Container } from '../../backend.js'
import { AlreadyInUseError, InvalidSpecError } from '../../errors.js'
import type { NetOutRule } from '../../types.js'
import { dial, serve } from '../commands.js'
import { runToEnd, waitForLog } from '../streams.js'
import type { Suite } from '../suite.js'

const PORT = 8080

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
  })

  describePorts(suite)
  describeWays(suite)
}

function describePorts(suite: Suite): void {
  describe('ports of the host', () => {
    suite.api(
      'lead into a container that asked for them, chosen when it asked for none, and are told in its info',
      async () => {
        await suite.withContainer(
          async (container) => {
            const [given] = (await container.info()).mappedPorts
            expect(given).toEqual({ hostPort: expect.any(Number), containerPort: PORT })
            const mapped = await container.netIn({ containerPort: PORT + 1 })
            const same = await container.netIn({})
            expect(mapped.containerPort).toBe(PORT + 1)
            expect(same.containerPort).toBe(same.hostPort)
            const all = [given?.hostPort ?? 0, mapped.hostPort, same.hostPort]
            expect([new Set(all).size, all.every((port) => port > 1023)]).toEqual([3, true])
            expect((await container.info()).mappedPorts).toEqual([given, mapped, same])
          },
          { netIn: [{ containerPort: PORT }] },
        )
      },
      { needs: ['hasNetIn'] },
    )

    suite.api(
      'defect 15: are one container’s until it is gone',
      async () => {
        const { backend, base } = suite
        const first = await backend.create({ ...base, handle: 'holds-a-port', netIn: [{}] })
        const hostPort = (await first.info()).mappedPorts[0]?.hostPort ?? 0
        await expect(backend.create({ ...base, netIn: [{ hostPort }] })).rejects.toThrow(AlreadyInUseError)
        await expect(backend.create({ ...base, netIn: [{ hostPort }] })).rejects.toThrow(
          `host port ${hostPort} already`,
        )
        await suite.withContainer(async (second) => {
          await expect(second.netIn({ hostPort })).rejects.toThrow(AlreadyInUseError)
          await backend.destroy(first.handle)
          expect(await second.netIn({ hostPort, containerPort: PORT })).toEqual({ hostPort, containerPort: PORT })
        })
        await expect(backend.create({ ...base, netIn: [{ hostPort }, { hostPort }] })).rejects.toThrow(
          AlreadyInUseError,
        )
        await suite.withContainer(
          async (third) => {
            expect((await third.info()).mappedPorts).toEqual([{ hostPort, containerPort: hostPort }])
          },
          { netIn: [{ hostPort }] },
        )
      },
      { needs: ['hasNetIn'] },
    )

    suite.api(
      'are ports',
      async () => {
        for (const netIn of [{ hostPort: 65_536 }, { hostPort: -1 }, { containerPort: 1.5 }]) {
          await expect(suite.backend.create({ ...suite.base, netIn: [netIn] })).rejects.toThrow(InvalidSpecError)
          await suite.withContainer(async (container) => {
            await expect(container.netIn(netIn)).rejects.toThrow(InvalidSpecError)
            expect((await container.info()).mappedPorts).toEqual([])
          })
        }
      },
      { needs: ['hasNetIn'] },
    )

    suite.api(
      'stay with their container when the backend dies',
      async () => {
        const container = await suite.backend.create({ ...suite.base, netIn: [{ containerPort: PORT }] })
        await container.netIn({})
        const { mappedPorts } = await container.info()
        const second = await suite.underTest.reopen()
        await second.recover()
        expect((await (await second.lookup(container.handle)).info()).mappedPorts).toEqual(mappedPorts)
        const other = await second.create({ ...suite.base, netIn: [{}, {}] })
        for (const { hostPort } of (await other.info()).mappedPorts)
          expect(mappedPorts.map((port) => port.hostPort)).not.toContain(hostPort)
        await second.destroy(other.handle)
        await second.destroy(container.handle)
        await second.close()
        await suite.backend.destroy(container.handle, { ifExists: true })
      },
      { needs: ['hasNetIn'] },
    )

    suite.kernel(
      'N1: are reached from the host, and by a container that may reach the host’s ports, itself among them',
      async () => {
        await suite.withContainer(
          async (container) => {
            await listen(container, 'hello')
            const { externalIp, mappedPorts } = await container.info()
            const later = await container.netIn({ containerPort: PORT })
            for (const { hostPort } of [...mappedPorts, later]) {
              expect(await text(connect(hostPort, externalIp))).toContain('hello')
              expect(await reach(container, externalIp, hostPort)).toContain('hello')
              await suite.withContainer(async (neighbour) => {
                expect(await reach(neighbour, externalIp, hostPort)).toContain('hello')
              })
            }
          },
          { netIn: [{ containerPort: PORT }] },
        )
      },
      { needs: ['hasNetIn', 'hasNetwork'] },
    )
  })
}

function describeWays(suite: Suite): void {
  describe('the way out', () => {
    const everything: NetOutRule = { protocol: 'all' }

    suite.kernel(
      'leads to no other container, whatever is allowed',
      async () => {
        await suite.withContainer(async (target) => {
          await listen(target, 'hello')
          const { containerIp } = await target.info()
          expect(await reach(target, containerIp, PORT)).toContain('hello')
          const named: NetOutRule = { protocol: 'tcp', networks: [{ start: containerIp }], ports: [{ start: PORT }] }
          const tries = [{}, { netOut: [] }, { netOut: [everything] }].map(async (spec) => {
            await suite.withContainer(async (container) => {
              expect(await reach(container, containerIp, PORT)).toBe('')
              await container.netOut([named])
              expect(await reach(container, containerIp, PORT)).toBe('')
            }, spec)
          })
          await Promise.all(tries)
        })
      },
      { needs: ['hasNetwork'] },
    )

    suite.kernel(
      'leads to what rules name, as soon as they are there, by address, protocol and port',
      async () => {
        await suite.withContainer(
          async (target) => {
            await listen(target, 'hello')
            const { externalIp, mappedPorts } = await target.info()
            const port = mappedPorts[0]?.hostPort ?? 0
            const networks = [{ start: externalIp }]
            const misses: NetOutRule[] = [
              { protocol: 'tcp', networks, ports: [{ start: port + 1, end: 65_535 }] },
              { protocol: 'udp', networks, ports: [{ start: port }] },
              { protocol: 'tcp', networks: [{ start: '203.0.113.1', end: '203.0.113.9' }] },
              { protocol: 'icmp' },
            ]
            await suite.withContainer(
              async (container) => {
                expect(await reach(container, externalIp, port)).toBe('')
                await container.netOut(misses.slice(1))
                expect(await reach(container, externalIp, port)).toBe('')
                const ports = [{ start: 1 }, { start: port, end: port }]
                await container.netOut([{ protocol: 'tcp', networks: [...networks, { start: '203.0.113.1' }], ports }])
                expect(await reach(container, externalIp, port)).toContain('hello')
              },
              { netOut: misses.slice(0, 1) },
            )
          },
          { netIn: [{ containerPort: PORT }] },
        )
      },
      { needs: ['hasNetIn', 'hasNetwork'] },
    )

    suite.kernel(
      'is what it was when the backend dies',
      async () => {
        await suite.withContainer(
          async (target) => {
            await listen(target, 'hello')
            const { externalIp, mappedPorts } = await target.info()
            const [one, two] = mappedPorts.map(({ hostPort }) => hostPort)
            const rule = (start = 0): NetOutRule => ({ protocol: 'tcp', ports: [{ start }] })
            const container = await suite.backend.create({ ...suite.base, netOut: [rule(one)] })
            await container.netOut([rule(two)])
            const second = await suite.underTest.reopen()
            await second.recover()
            const same = await second.lookup(container.handle)
            for (const { hostPort } of mappedPorts.slice(0, 2))
              expect(await reach(same, externalIp, hostPort)).toContain('hello')
            expect(await reach(same, externalIp, mappedPorts[2]?.hostPort ?? 0)).toBe('')
            await second.destroy(container.handle)
            await second.close()
            await suite.backend.destroy(container.handle, { ifExists: true })
          },
          { netIn: [1, 2, 3].map(() => ({ containerPort: PORT })) },
        )
      },
      { needs: ['hasNetIn', 'hasNetwork'] },
    )

    suite.api(
      'is refused when a rule makes no sense, and stays as it was',
      async () => {
        const wrong: NetOutRule[] = [
          { protocol: 'icmp', ports: [{ start: 80 }] },
          { protocol: 'tcp', networks: [{ start: '10.0.0.9', end: '10.0.0.1' }] },
          { protocol: 'udp', ports: [{ start: 70_000 }] },
          { protocol: 'sctp' as 'tcp' },
        ]
        for (const rule of wrong) {
          await expect(suite.backend.create({ ...suite.base, netOut: [rule] })).rejects.toThrow(InvalidSpecError)
          await suite.withContainer(async (container) => {
            await expect(container.netOut([everything, rule])).rejects.toThrow(InvalidSpecError)
          })
        }
        await expect(suite.backend.create({ ...suite.base, netOut: wrong.slice(0, 1) })).rejects.toThrow(
          'Ports cannot be specified for Protocol ICMP',
        )
      },
      { needs: ['hasNetwork'] },
    )
  })
}

async function listen(container: Container, what: string): Promise<void> {
  const process = await container.run(serve(PORT, what))
  await waitForLog(container, process.id, 'listening')
}

/** What a port says to a container; nothing when it is not reached. */
async function reach(container: Container, host: string, port: number): Promise<string> {
  return (await runToEnd(container, dial(host, port))).stdout.toString()
}
