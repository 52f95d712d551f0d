import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, waitFor } from '@croft/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startLoad } from './support/load.js'
import { Platform, webApp, type PsRow } from './support/platform.js'

/** What must not stop, and what must come back. Counts and durations of the issue are for the long form. */

const isLong = process.env['CROFT_TEST_LONG'] === '1'
const platform = Platform.at('healing')
const host = (app: string): string => `${app}.localhost:${platform.httpPort}`

beforeAll(async () => {
  await platform.up('--no-example')
  const push = async (app: string): Promise<void> => {
    const repository = await platform.repository(app, webApp(app))
    const pushed = await repository.push()
    if (pushed.code !== 0) throw new Error(pushed.output)
  }
  await Promise.all(['steady', 'lonely'].map(push))
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

/** The only instance of an app, and its one process as the host numbers it. */
async function onlyInstance(app: string): Promise<{ row: PsRow; pid: number }> {
  const [row, ...others] = await platform.ps(app)
  if (row === undefined || others.length > 0) throw new Error(`${app} should have one instance`)
  const [pid, ...more] = processesOf(row.id)
  if (pid === undefined || more.length > 0) throw new Error(`${row.instance} should be one process`)
  return { row, pid }
}

/** The members of the cgroup of an instance's container, without its init, which is number 1 in there. */
function processesOf(instanceId: string): number[] {
  const isMember = (pid: string): boolean => {
    try {
      return (
        readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${instanceId}-`) &&
        /^NSpid:.*\t(?!1$)\d+$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
      )
    } catch {
      return false // it has just ended
    }
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isMember(name))
    .map(Number)
}

describe('a crashed instance', () => {
  it.each([
    // a POST: the router would send a GET to the next process, too
    ['that ended by itself', async () => await platform.get('lonely', '/crash', { method: 'POST' })],
    ['that was killed from the host', (pid: number) => process.kill(pid, 'SIGKILL')],
  ])('%s serves again without anybody’s help, as another process with the same id and address', async (_how, end) => {
    const before = await onlyInstance('lonely')
    await end(before.pid)
    await platform.serves('lonely', 'lonely', 10_000)
    await waitFor(
      async () =>
        (await platform.ps('lonely')).find(
          ({ state, restarts }) => state === 'running' && restarts === before.row.restarts + 1,
        ),
      { what: 'the restart to be counted', timeoutMs: 10_000 },
    )
    const after = await onlyInstance('lonely')
    expect(after.pid).not.toBe(before.pid)
    expect(after.row.id).toBe(before.row.id)
    expect(after.row.address).toBe(before.row.address)
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

describe('rollbacks under load', () => {
  it('lose no request, and take a second plus the start of the app', async () => {
    const load = startLoad({ port: platform.httpPort, host: host('steady'), perSecond: 200, maxSeconds: 180 })
    const tookMs: number[] = []
    try {
      for (let round = 0; round < (isLong ? 10 : 2); round += 1) {
        const beganAt = performance.now()
        const back = await platform.croft('rollback', '-a', 'steady')
        tookMs.push(performance.now() - beganAt)
        expect(back.code, back.output).toBe(0)
        expect(back.output).toContain('runs v')
      }
    } finally {
      await load.stop()
    }
    expect(load.result.failures).toEqual({})
    expect(load.result.ok).toBe(load.result.sent)
    const [newest] = await platform.releases('steady')
    expect(newest?.description).toMatch(/^Rollback to v\d+$/)
    expect(Math.min(...tookMs)).toBeLessThan(isLong ? 3_000 : 10_000) // the CLI's and the app's own start included
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
    const before = await onlyInstance('steady')
    const load = startLoad({ port: platform.httpPort, host: host('steady'), perSecond: 100, maxSeconds: 120 })
    try {
      await killAndRecover('executor')
    } finally {
      await load.stop()
    }
    expect(load.result.failures).toEqual({})
    const after = await onlyInstance('steady')
    expect(after.pid).toBe(before.pid)
    expect(after.row.id).toBe(before.row.id)
    expect(after.row.restarts).toBe(before.row.restarts)
  })

  it('haproxy: it is back with the same routes', async () => {
    await killAndRecover('haproxy')
    await platform.serves('steady', '')
    await platform.serves('lonely', 'lonely')
  })
})

describe('with the controller stopped', () => {
  it('apps serve on, and a killed only instance comes back as another process without a failed request', async () => {
    const controller = await platform.pidOf('controller')
    const killed = await onlyInstance('lonely')
    const load = startLoad({
      port: platform.httpPort,
      host: host('steady'),
      perSecond: isLong ? 200 : 100,
      maxSeconds: 120,
    })
    process.kill(controller, 'SIGSTOP')
    const lonely = startLoad({ port: platform.httpPort, host: host('lonely'), perSecond: 20, maxSeconds: 120 })
    try {
      process.kill(killed.pid, 'SIGKILL')
      await platform.serves('lonely', 'lonely', 10_000)
      expect(processesOf(killed.row.id)).not.toContain(killed.pid)
      expect(processesOf(killed.row.id)).toHaveLength(1)
      if (isLong) await waitFor(() => load.result.sent >= 200 * 60, { what: '60 s of load', timeoutMs: 90_000 })
    } finally {
      process.kill(controller, 'SIGCONT')
      await Promise.all([load.stop(), lonely.stop()])
    }
    expect(load.result.failures).toEqual({})
    expect(lonely.result.failures).toEqual({})
  })
})

describe.runIf(isLong)('the executor killed', () => {
  /** A line of the push after which it dies. */
  const moments: [string, string, number][] = [
    ['while the build script runs', 'script begins', 0],
    ['while the image is exported', 'script ends', 150],
    ['while the container of a build is made', 'Receiving', 0],
  ]
  it.each(moments)(
    '%s: the push is built once more, and there is one image and one release',
    async (what, line, lateMs) => {
      const name = `killed-${moments.findIndex(([one]) => one === what)}`
      const app = await platform.repository(name, {
        ...webApp(name),
        'package.json': JSON.stringify({
          name: 'a',
          version: '1.0.0',
          type: 'module',
          engines: { node: '24' },
          scripts: { build: 'echo script begins && sleep 2 && echo script ends', start: 'node server.js' },
        }),
      })
      const pushing = app.push()
      let said = ''
      const log = async (): Promise<string> => {
        const [build] = await platform.json<{ id: string }[]>('builds', '-a', name).catch(() => [])
        return build === undefined
          ? ''
          : `Receiving ${(await platform.croft('builds:logs', build.id, '-a', name)).stdout}`
      }
      await waitFor(async () => (said = await log()).includes(line), { what: line, timeoutMs: 30_000, everyMs: 20 })
      expect(said).toContain(line)
      await systemClock.sleep(lateMs)
      await killAndRecover('executor')
      const pushed = await pushing
      expect(pushed.code, pushed.output).toBe(0)
      expect((await platform.get(name)).body).toBe(name)
      const builds = await platform.json<{ state: string; attempt: number; image: string }[]>('builds', '-a', name)
      expect(builds).toHaveLength(1)
      expect(builds[0]?.state).toBe('succeeded')
      expect(await platform.releases(name)).toMatchObject([{ version: 1, image: builds[0]?.image }])
    },
  )
})

describe('Redis killed and emptied while a push builds', () => {
  it.runIf(isLong)('the push still ends right', async () => {
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
    process.kill(redis, 'SIGKILL')
    for (const name of readdirSync(data))
      if (/appendonly|\.rdb$/.test(name)) rmSync(join(data, name), { recursive: true, force: true })
    const pushed = await pushing
    expect(pushed.code, pushed.output).toBe(0)
    expect((await platform.get('emptied')).body).toBe('survived')
  })
})
