import { readdir } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinuxBackend } from '@croft/backend-linux'
import { ContainerNotFoundError, UnrecoverableError, type ContainerEvent } from '@croft/garden-api'
import { commands, runToEnd, SIGKILL, waitForLog } from '@croft/garden-api/conformance'
import { waitFor } from '@croft/kit'
import { image, leftovers, makeHome, sh, shimOf, type TestHome } from './support/backend-rig.js'

describe('the events of the Linux backend', () => {
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

  /** What happens to one container of a backend from now on, as it comes. */
  const listen = async (handle: string, to = backend): Promise<{ events: ContainerEvent[]; stop: () => void }> => {
    const stop = new AbortController()
    const events: ContainerEvent[] = []
    const after = await to.eventPosition()
    void (async () => {
      for await (const event of to.events(stop.signal, after)) if (event.handle === handle) events.push(event)
    })()
    return { events, stop: () => stop.abort() }
  }
  const until = async (events: ContainerEvent[], kind: ContainerEvent['kind']): Promise<ContainerEvent> =>
    await waitFor(() => events.find((event) => event.kind === kind), { what: `the event ${kind}`, timeoutMs: 10_000 })

  it('tell the life of a container in order', async () => {
    const { events, stop } = await listen('life')
    const container = await backend.create({ ...image, handle: 'life' })
    expect((await runToEnd(container, { ...sh('exit 3'), id: 'one' })).exit.exitCode).toBe(3)
    await until(events, 'process-exited')
    await container.stop()
    await container.stop()
    await backend.destroy('life', { reason: 'grace-time' })
    await until(events, 'destroyed')
    stop()
    expect(events).toMatchObject([
      { kind: 'created' },
      { kind: 'process-started', processId: 'one' },
      { kind: 'process-exited', processId: 'one', exit: { exitCode: 3, signal: null, isOutOfMemory: false } },
      { kind: 'stopped' },
      { kind: 'destroyed', reason: 'grace-time' },
    ])
  })

  it('tell how each process ended, whoever watches it, lets go of it or reads it slowly', async () => {
    const { events, stop } = await listen('ends')
    const container = await backend.create({ ...image, handle: 'ends' })
    const slow = new PassThrough({ highWaterMark: 1 })
    await container.run({ ...sh('head -c 200000 /dev/zero'), id: 'slow' }, { stdout: slow })
    const letGo = await container.run({ ...commands.trap(7), id: 'let-go' })
    const bare = await container.run({ ...commands.forever(), id: 'bare' })
    await waitForLog(container, 'let-go', 'ready')
    letGo.detach()
    await letGo.signal(15)
    await bare.signal(SIGKILL)
    await waitFor(() => events.filter(({ kind }) => kind === 'process-exited').length === 3, {
      what: 'three exits',
      timeoutMs: 10_000,
    })
    stop()
    slow.resume()
    const exits = events.flatMap((event) =>
      event.kind === 'process-exited' ? [[event.processId, event.exit.exitCode] as const] : [],
    )
    expect(new Map(exits)).toEqual(
      new Map([
        ['slow', 0],
        ['let-go', 7],
        ['bare', 137],
      ]),
    )
    await backend.destroy('ends')
  })

  it('tell of a kill for memory, of a child too', async () => {
    const { events, stop } = await listen('hog')
    const limits = { memory: { limitBytes: 48 * 1024 * 1024 } }
    const container = await backend.create({ ...image, handle: 'hog', limits })
    const hog = 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'
    const parent = await container.run({ ...sh(`sh -c '${hog}'; exec sleep 1000`), id: 'parent' })
    await until(events, 'out-of-memory')
    expect(events.some(({ kind }) => kind === 'process-exited')).toBe(false)
    await runToEnd(container, { ...sh(hog), id: 'main' })
    await until(events, 'process-exited')
    stop()
    expect(events.map(({ kind }) => kind)).toEqual([
      'created',
      'process-started',
      'out-of-memory',
      'process-started',
      'out-of-memory',
      'process-exited',
    ])
    await parent.signal(SIGKILL)
    await backend.destroy('hog')
  })

  it('tell of a container whose shim died that it is lost; it is listed no more, and nothing of it stays', async () => {
    const { events, stop } = await listen('lost')
    const container = await backend.create({
      ...image,
      handle: 'lost',
      limits: { disk: { byteHard: 16 << 20, scope: 'exclusive' } },
    })
    const process = await container.run({ ...commands.forever(), id: 'p' })
    const pid = (await container.processes())[0]?.pid
    globalThis.process.kill(await shimOf(home, 'lost'), 'SIGKILL')
    await expect(process.wait()).rejects.toThrow(UnrecoverableError)
    expect(await until(events, 'destroyed')).toMatchObject({ reason: 'lost' })
    stop()
    await expect(backend.lookup('lost')).rejects.toThrow(ContainerNotFoundError)
    await expect(container.info()).rejects.toThrow(ContainerNotFoundError)
    expect(await readdir('/proc')).not.toContain(String(pid))
    expect(await leftovers(home)).toEqual([])
    await backend.create({ ...image, handle: 'lost' })
    await backend.destroy('lost')
  })

  it('are those of one backend; the next tells what becomes of adopted processes', async () => {
    const container = await backend.create({ ...image, handle: 'adopted' })
    await container.run({ ...commands.trap(11), id: 'survivor' })
    await waitForLog(container, 'survivor', 'ready')
    const before = await backend.eventPosition()
    await backend.close()
    const next = await home.open()
    await next.recover()
    const { events, stop } = await listen('adopted', next)
    expect((await next.eventPosition()).bootId).not.toBe(before.bootId)
    await (await (await next.lookup('adopted')).attach('survivor')).signal(15)
    expect(await until(events, 'process-exited')).toMatchObject({ processId: 'survivor', exit: { exitCode: 11 } })
    globalThis.process.kill(await shimOf(home, 'adopted'), 'SIGKILL')
    expect(await until(events, 'destroyed')).toMatchObject({ reason: 'lost' })
    stop()
    backend = next
  })
})
