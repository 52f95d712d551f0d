import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LinuxBackend } from '@croft/backend-linux'
import type { Container } from '@croft/garden-api'
import { waitForLog } from '@croft/garden-api/conformance'
import { systemClock, waitFor } from '@croft/kit'
import { image, makeHome, type TestHome } from './support/backend-rig.js'

const MIB = 1024 * 1024
const BURST = 64 * 1024
const SAMPLE_MS = 700

/** Sends for ever to whoever connects to 8080, and takes all from whoever connects to 8081. */
const SERVER = `const net = require('net'), chunk = Buffer.alloc(65536)
  const fill = (s) => { while (s.write(chunk)); }
  net.createServer((s) => { s.on('error', () => 0).on('drain', () => fill(s)); fill(s) }).listen(8080)
  net.createServer((s) => s.on('error', () => 0).resume()).listen(8081, () => console.log('up'))`

describe('the bandwidth of a container', () => {
  let home: TestHome
  let backend: LinuxBackend

  beforeAll(async () => {
    home = await makeHome()
    backend = await home.open()
    await backend.recover()
  })
  afterAll(async () => {
    await backend.close()
    await home.clean()
  })

  const serveIn = async (container: Container): Promise<string> => {
    await container.run({ path: 'node', args: ['-e', SERVER], id: 'server' })
    await waitForLog(container, 'server', 'up')
    return (await container.info()).containerIp
  }

  /**
   * Bytes a second as the kernel counts them, after what the bucket lets through at once. The looks lie inside the measured time,
   * and no reader of ours can be late with what came before, so that a busy host never shows more than there was.
   */
  const rateOf = async (count: () => Promise<number>): Promise<number> => {
    await systemClock.sleep(SAMPLE_MS / 2)
    const startMs = systemClock.monotonic()
    const before = await count()
    await systemClock.sleep(SAMPLE_MS)
    const bytes = (await count()) - before
    return (bytes * 1000) / (systemClock.monotonic() - startMs)
  }
  const rateFrom = async (container: Container, address: string): Promise<number> => {
    const socket = connect(8080, address)
    socket.on('error', () => undefined).resume()
    const sent = async (): Promise<number> => (await container.metrics()).network?.txBytes ?? 0
    return await rateOf(sent).finally(() => socket.destroy())
  }
  const rateTo = async (container: Container, address: string): Promise<number> => {
    const socket = connect(8081, address)
    socket.on('error', () => undefined)
    const chunk = Buffer.alloc(65_536)
    const fill = (): void => {
      while (socket.write(chunk));
    }
    socket.on('drain', fill)
    fill()
    const received = async (): Promise<number> => (await container.metrics()).network?.rxBytes ?? 0
    return await rateOf(received).finally(() => socket.destroy())
  }

  const ratesOf = async (container: Container, address: string): Promise<number[]> =>
    await Promise.all([rateFrom(container, address), rateTo(container, address)])

  it('is held in each direction, changes while it runs, and is lifted by 0', async () => {
    const container = await backend.create({
      ...image,
      limits: { bandwidth: { rateBytesPerSecond: MIB, burstBytes: BURST } },
    })
    const address = await serveIn(container)
    /* never more than that; on a busy host now and then much less */
    const isNear = async (wanted: number): Promise<void> => {
      let most = 0
      const probe = async (): Promise<boolean> => {
        const rates = await ratesOf(container, address)
        most = Math.max(most, ...rates)
        return Math.min(...rates) > wanted * 0.5
      }
      await waitFor(probe, { what: `${wanted} bytes a second`, timeoutMs: 30_000 })
      expect(most).toBeLessThan(wanted * 1.25)
    }
    await isNear(MIB)
    await container.changeLimits({ bandwidth: { rateBytesPerSecond: 4 * MIB, burstBytes: BURST } })
    expect((await container.limits()).bandwidth).toEqual({ rateBytesPerSecond: 4 * MIB, burstBytes: BURST })
    await isNear(4 * MIB)
    await container.changeLimits({ bandwidth: { rateBytesPerSecond: 0, burstBytes: 0 } })
    await waitFor(async () => Math.min(...(await ratesOf(container, address))) > 8 * MIB, {
      what: 'no limit to be felt',
      timeoutMs: 30_000,
    })
    await backend.destroy(container.handle)
  })

  it('stays while a new backend takes over', async () => {
    const bandwidth = { rateBytesPerSecond: MIB, burstBytes: BURST }
    const container = await backend.create({ ...image, handle: 'held', limits: { bandwidth } })
    const address = await serveIn(container)
    const next = await home.open()
    await next.recover()
    const held = await next.lookup('held')
    expect((await held.limits()).bandwidth).toEqual(bandwidth)
    expect(await rateFrom(held, address)).toBeLessThan(1.25 * MIB)
    await next.destroy('held')
    await next.close()
    await backend.destroy('held', { ifExists: true })
  })
})
