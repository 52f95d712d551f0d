import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from '@croft/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startLoad } from './support/load.js'
import { Platform, webApp } from './support/platform.js'

/** What must not stop, and what must come back. Counts and durations of the issue are for the long form. */

const isLong = process.env['CROFT_TEST_LONG'] === '1'
const platform = Platform.at('healing')
const host = (app: string): string => `${app}.localhost:${platform.httpPort}`

beforeAll(async () => {
  await platform.up('--no-example')
  for (const app of ['steady', 'lonely']) {
    const repository = await platform.repository(app, webApp(app))
    const pushed = await repository.push()
    if (pushed.code !== 0) throw new Error(pushed.output)
  }
})
afterAll(async () => {
  await platform.down()
  platform.remove()
})

/** Kills a component by pid and waits until the platform is whole again. */
async function killAndRecover(component: string): Promise<void> {
  const pid = await platform.pidOf(component)
  process.kill(pid, 'SIGKILL')
  await waitFor(
    async () => {
      const status = await platform.status().catch(() => undefined)
      const now = status?.components.find(({ name }) => name === component)
      return status?.ready === true && now?.state === 'running' && now.pid !== pid
    },
    { what: `${component} to be back`, timeoutMs: 30_000, everyMs: 100 },
  )
}

/** The pids of an app's processes as the host sees them: `/proc` has the instance's name in its environment. */
const processOf = async (app: string): Promise<string> => (await platform.get(app, '/pid')).body

describe('a crashed instance', () => {
  it('serves again by itself, with the same id and address', async () => {
    const [before] = await platform.ps('lonely')
    await platform.get('lonely', '/crash').catch(() => undefined)
    await platform.serves('lonely', 'lonely', 10_000)
    const after = await waitFor(
      async () =>
        (await platform.ps('lonely')).find(
          ({ state, restarts }) => state === 'running' && restarts > (before?.restarts ?? 0),
        ),
      { what: 'the restart to be counted', timeoutMs: 10_000 },
    )
    expect(after.id).toBe(before?.id)
    expect(after.address).toBe(before?.address)
  })
})

describe('deploys under load', () => {
  it('lose no request', async () => {
    const app = await platform.repository('steady', webApp('next'))
    await app.git('fetch', '-q', 'croft', 'main')
    await app.git('reset', '-q', '--soft', 'FETCH_HEAD')
    const load = startLoad({
      port: platform.httpPort,
      host: host('steady'),
      perSecond: isLong ? 200 : 100,
      maxSeconds: 180,
    })
    try {
      for (let round = 0; round < (isLong ? 5 : 2); round += 1) await app.deploy(webApp(`round ${round}`))
    } finally {
      await load.stop()
    }
    expect(load.result.failures).toEqual({})
    expect(load.result.ok).toBe(load.result.sent)
    expect(Object.keys(load.result.bodies)).toContain(`round ${isLong ? 4 : 1}`)
  }, 300_000)
})

describe('kill -9 of a component', () => {
  it.each(['router', 'controller', 'redis', 'postgres'])(
    '%s: apps serve on, and the platform is whole again',
    async (component) => {
      const load = startLoad({ port: platform.httpPort, host: host('steady'), perSecond: 100, maxSeconds: 120 })
      try {
        await killAndRecover(component)
      } finally {
        await load.stop()
      }
      expect(load.result.failures).toEqual({})
    },
  )

  it('executor: the same instances and the same processes, and no request is lost', async () => {
    const rows = await platform.ps('steady')
    const before = {
      ids: rows.map(({ id }) => id),
      restarts: rows.map(({ restarts }) => restarts),
      process: await processOf('steady'),
    }
    const load = startLoad({ port: platform.httpPort, host: host('steady'), perSecond: 100, maxSeconds: 120 })
    try {
      await killAndRecover('executor')
    } finally {
      await load.stop()
    }
    expect(load.result.failures).toEqual({})
    expect((await platform.ps('steady')).map(({ id }) => id)).toEqual(before.ids)
    expect(await processOf('steady')).toBe(before.process)
    expect((await platform.ps('steady')).map(({ restarts }) => restarts)).toEqual(before.restarts)
  })

  it('haproxy: it is back with the same routes', async () => {
    await killAndRecover('haproxy')
    await platform.serves('steady', '')
    await platform.serves('lonely', 'lonely')
  })
})

describe('with the controller stopped', () => {
  it('apps serve on, and a crashed only instance comes back', async () => {
    const controller = await platform.pidOf('controller')
    const load = startLoad({
      port: platform.httpPort,
      host: host('steady'),
      perSecond: isLong ? 200 : 100,
      maxSeconds: 120,
    })
    process.kill(controller, 'SIGSTOP')
    try {
      await platform.get('lonely', '/crash').catch(() => undefined)
      await platform.serves('lonely', 'lonely', 10_000)
      if (isLong) await waitFor(() => load.result.sent >= 200 * 60, { what: '60 s of load', timeoutMs: 90_000 })
    } finally {
      process.kill(controller, 'SIGCONT')
      await load.stop()
    }
    expect(load.result.failures).toEqual({})
  })
})

describe('Redis killed and emptied while a push builds', () => {
  it('the push still ends right', async () => {
    const app = await platform.repository('emptied', {
      ...webApp('survived'),
      'package.json': JSON.stringify({
        name: 'a',
        version: '1.0.0',
        type: 'module',
        engines: { node: '24' },
        scripts: { build: 'node -e "setTimeout(() => {}, 3000)"', start: 'node server.js' },
      }),
    })
    const pushing = app.push()
    await waitFor(
      async () =>
        (await platform.json<{ state: string }[]>('builds', '-a', 'emptied').catch(() => [])).some(
          ({ state }) => state === 'running',
        ),
      { what: 'the build to run', timeoutMs: 20_000 },
    )
    const redis = await platform.pidOf('redis')
    const data = join(platform.home, 'redis')
    const { rmSync } = await import('node:fs')
    process.kill(redis, 'SIGKILL')
    for (const name of readdirSync(data))
      if (/appendonly|\.rdb$/.test(name)) rmSync(join(data, name), { recursive: true, force: true })
    const pushed = await pushing
    expect(pushed.code, pushed.output).toBe(0)
    expect((await platform.get('emptied')).body).toBe('survived')
  })
})
