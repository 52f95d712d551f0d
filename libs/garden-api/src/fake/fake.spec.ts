import { describe, expect, it } from 'vitest'
import { FakeClock } from '@croft/kit'
import { ServiceUnavailableError } from '../errors.js'
import { describeBackend } from '../conformance/index.js'
import { FakeBackend, FakeStore } from './index.js'

describeBackend(
  'the fake',
  async () => {
    const store = new FakeStore()
    return {
      backend: new FakeBackend({ store }),
      reopen: async () => new FakeBackend({ store }),
      clean: async () => undefined,
    }
  },
  {
    base: { image: { uri: 'fake:' } },
    user: 'alice',
    hasKernel: false,
    capabilities: await new FakeBackend().capabilities(),
  },
)

describeBackend(
  'the fake when every call takes its time',
  async () => {
    const store = new FakeStore()
    const late = (): FakeBackend => {
      const backend = new FakeBackend({ store })
      backend.inject({ call: '*', delayMs: 2, times: Number.POSITIVE_INFINITY })
      return backend
    }
    return { backend: late(), reopen: async () => late(), clean: async () => undefined }
  },
  {
    base: { image: { uri: 'fake:' } },
    user: 'alice',
    hasKernel: false,
    capabilities: await new FakeBackend().capabilities(),
  },
)

describe('the fake with planned faults', () => {
  it('fails as often as it was told, then works', async () => {
    const backend = new FakeBackend()
    backend.inject({ call: 'create', error: new ServiceUnavailableError('no room'), times: 2 })
    await expect(backend.create({ handle: 'a' })).rejects.toThrow('no room')
    await expect(backend.create({ handle: 'a' })).rejects.toThrow('no room')
    await backend.create({ handle: 'a' })
    expect(backend.calls).toEqual(['create a', 'create a', 'create a'])
  })

  it('delays by its clock', async () => {
    const clock = new FakeClock()
    const backend = new FakeBackend({ clock })
    backend.inject({ call: 'ping', delayMs: 500 })
    let isAnswered = false
    const ping = backend.ping().then(() => {
      isAnswered = true
    })
    await clock.advance(499)
    expect(isAnswered).toBe(false)
    await clock.advance(1)
    await ping
  })

  it("runs programs of the test's own, and loses a container with its processes", async () => {
    const backend = new FakeBackend({
      programs: {
        server: async (context) =>
          await new Promise((resolve) => context.signal.addEventListener('abort', () => resolve(0))),
      },
    })
    const container = await backend.create({ handle: 'web' })
    const server = await container.run({ path: 'server' })
    backend.store.lose('web')
    expect(await server.wait()).toMatchObject({ exitCode: 137 })
    await expect(container.info()).rejects.toThrow('unknown handle: web')
  })
})
