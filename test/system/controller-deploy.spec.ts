import { waitFor } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { DeployService } from '../../apps/controller/src/deploy/deploy.service.js'
import { git } from '../../apps/controller/src/push/git.js'
import { RepositoryUpkeep } from '../../apps/controller/src/push/repository-upkeep.js'
import { Repositories } from '../../apps/controller/src/push/repository.js'
import { ReleaseService } from '../../apps/controller/src/release/release.service.js'
import {
  deploy,
  endpoints,
  newApp,
  node,
  ps,
  rig,
  router,
  stateOf,
  useScriptedPlatform,
} from './support/scripted-platform.js'
import { hostOf } from './support/control-rig.js'

/** Placing, deploying and routing over a real database, with an executor and a router that follow a script. */

useScriptedPlatform()

describe('a first deployment', () => {
  it('starts one web instance, routes to it and says so in the grammar of a push', async () => {
    const app = await newApp()
    const lines: string[] = []
    const deployment = await rig.release(app, ['web', 'worker'])
    expect(await rig.finish(deployment.id, lines)).toEqual({ state: 'succeeded' })
    expect(lines).toEqual([expect.stringMatching(/^-----> Starting web\.1 \.\.\. healthy {28}\d+\.\d s$/)])
    expect(endpoints(app)).toMatchObject([{ releaseVersion: 1, weight: 100 }])
    expect(await ps(app)).toMatchObject([{ instance: 'web.1', state: 'running', release: 1 }])
    const item = [...node.items.values()].find((candidate) => candidate.appId === app.id)
    expect(item?.spec).toMatchObject({
      kind: 'service',
      command: ['/cnb/process/web'],
      env: { PORT: '8080', CROFT_APP: app.name, CROFT_INSTANCE: 'web.1', CROFT_RELEASE: 'v1' },
    })
  })

  it('takes well under a second from the release to traffic', async () => {
    const tookMs: number[] = []
    for (let round = 0; round < 3; round += 1) {
      const app = await newApp()
      const startedAt = performance.now()
      await deploy(app)
      tookMs.push(performance.now() - startedAt)
    }
    expect(Math.min(...tookMs)).toBeLessThan(800) // the other rounds may have met what runs beside this file
  })

  it('of an app with workers only needs no router', async () => {
    const app = await newApp()
    expect(await deploy(app, ['worker'], { worker: 2 })).toEqual({ state: 'succeeded' })
    expect((await ps(app)).map(({ instance, state }) => `${instance} ${state}`)).toEqual([
      'worker.1 running',
      'worker.2 running',
    ])
  })
})

describe('a further deployment', () => {
  it('starts the new ones, routes to them everywhere, and only then stops the old ones', async () => {
    const app = await newApp()
    await deploy(app, ['web'], { web: 3 })
    const before = endpoints(app).map(({ instanceId }) => instanceId)
    expect(await deploy(app)).toEqual({ state: 'succeeded' })
    await waitFor(async () => (await ps(app)).length === 3, { what: 'the old ones to go', timeoutMs: 10_000 })
    expect(endpoints(app).every(({ releaseVersion }) => releaseVersion === 2)).toBe(true)
    expect(endpoints(app).some(({ instanceId }) => before.includes(instanceId))).toBe(false)
  })

  it('waits for a router that does not acknowledge, and the old instance stays routed', async () => {
    const app = await newApp()
    await deploy(app)
    router.isSilent = true
    const deployment = await rig.release(app)
    await waitFor(
      async () => (await ps(app)).some(({ release: version, state }) => version === 2 && state === 'running'),
      {
        what: 'the new instance',
        timeoutMs: 5_000,
      },
    )
    await node.join() // anything that wakes the loop
    expect(await stateOf(deployment.id)).toBe('rolling')
    expect((await ps(app)).map(({ release: version, state }) => `${version} ${state}`)).toEqual([
      '1 running',
      '2 running',
    ])
    router.isSilent = false
    expect(await rig.finish(deployment.id)).toEqual({ state: 'succeeded' })
  })

  it('has ended when no request goes to the former release any more', async () => {
    const app = await newApp()
    await deploy(app)
    for (let round = 0; round < 3; round += 1) {
      expect(await rig.finish((await rig.release(app)).id)).toEqual({ state: 'succeeded' })
      expect(endpoints(app)).toHaveLength(1)
    }
  })

  it('lets requests in flight end before the old instance is stopped', async () => {
    const app = await newApp()
    await deploy(app)
    const [old] = endpoints(app)
    router.busy = new Set([old?.instanceId ?? ''])
    await deploy(app)
    await waitFor(async () => (await ps(app)).some(({ state }) => state === 'draining'), {
      what: 'the drain',
      timeoutMs: 5_000,
    })
    expect(node.items.has(old?.instanceId ?? '')).toBe(true)
    router.busy = new Set()
    await router.report()
    await waitFor(() => !node.items.has(old?.instanceId ?? ''), { what: 'the stop', timeoutMs: 5_000 })
  })

  it('whose instance crashes at boot three times fails with its last lines, and the old one serves on', async () => {
    const app = await newApp()
    await deploy(app)
    const [old] = endpoints(app)
    node.behave = (item) =>
      item.releaseVersion === 2
        ? { kind: 'crash', lastLines: ['TypeError: x is not a function', '    at server.js:1'] }
        : { kind: 'ready' }
    const end = await deploy(app)
    expect(end).toMatchObject({
      state: 'failed',
      cause: 'web.1 of v2 crashed at boot: it ended with exit code 1',
      lastLines: ['TypeError: x is not a function', '    at server.js:1'],
    })
    expect(endpoints(app)).toEqual([old])
    await waitFor(async () => (await ps(app)).length === 1, { what: 'the new one to go', timeoutMs: 5_000 })
    const releases = (await rig.api<{ version: number; status: string }[]>('GET', `/apps/${app.name}/releases`)).body
    expect(releases.map(({ version, status }) => `${version} ${status}`)).toEqual(['2 failed', '1 succeeded'])
  })

  it.each([
    { reason: 'port-wrong' as const, message: 'it listens on 9999', says: /not on port 8080: it listens on 9999/ },
    { reason: 'port-on-loopback' as const, message: 'no', says: /only on 127\.0\.0\.1/ },
    { reason: 'boot-timeout' as const, message: 'no', says: /not ready after 60 s/ },
  ])('fails at the first $reason', async ({ reason, message, says }) => {
    const app = await newApp()
    node.behave = () => ({ kind: 'crash', reason, message, times: 1 })
    const end = await deploy(app)
    expect(end.state).toBe('failed')
    if (end.state === 'failed') expect(end.cause).toMatch(says)
    await waitFor(async () => (await ps(app)).length === 0, { what: 'nothing to be left', timeoutMs: 5_000 })
  })

  it('that has no room says how much there is', async () => {
    node.memoryBytes = 400 * 1024 ** 2
    await waitFor(
      async () =>
        (await rig.dataSource.query(`SELECT FROM node WHERE (capacity->>'memoryBytes')::bigint < $1`, [2 ** 29]))
          .length > 0,
      { what: 'the report', timeoutMs: 5_000 },
    )
    const app = await newApp()
    const lines: string[] = []
    const deployment = await rig.release(app)
    const why = async (): Promise<string | null> =>
      (await rig.api<{ message: string | null }[]>('GET', `/apps/${app.name}/ps`)).body[0]?.message ?? null
    await waitFor(async () => (await why()) !== null, { what: 'no place', timeoutMs: 5_000 })
    expect((await ps(app)).map(({ state }) => state)).toEqual(['pending'])
    expect(await why()).toMatch(/^no node has 512 MiB free \(largest \d+ MiB\); scale down or add one$/)
    await rig.service(DeployService).cancel(deployment.id)
    expect(await rig.finish(deployment.id, lines)).toEqual({ state: 'canceled' })
    await waitFor(async () => (await ps(app)).length === 0, { what: 'nothing to be left', timeoutMs: 5_000 })
  })

  it('is refused while another one rolls', async () => {
    const app = await newApp()
    node.behave = () => ({ kind: 'hang' })
    const first = await rig.release(app)
    await expect(rig.release(app)).rejects.toMatchObject({ code: 'deployment-active', status: 409 })
    await rig.service(DeployService).cancel(first.id)
  })

  it('that nobody waits for any more is canceled, and what it started goes', async () => {
    const app = await newApp()
    await deploy(app)
    node.behave = () => ({ kind: 'hang' })
    const deployment = await rig.release(app)
    await waitFor(async () => (await ps(app)).length === 2, { what: 'the new instance', timeoutMs: 5_000 })
    const gone = new AbortController()
    const waiting = rig.service(DeployService).wait(deployment.id, { signal: gone.signal })
    gone.abort()
    expect(await waiting).toEqual({ state: 'canceled' })
    await waitFor(async () => (await ps(app)).map(({ release: version }) => version).join() === '1', {
      what: 'the former release alone',
      timeoutMs: 5_000,
    })
    expect(endpoints(app)).toHaveLength(1)
  })
})

describe('a crashed instance', () => {
  it('leaves the table while it is not ready and comes back with its id and address', async () => {
    const app = await newApp()
    await deploy(app)
    const [before] = endpoints(app)
    const id = before?.instanceId ?? ''
    node.say(id, { observed: 'backoff', restarts: 1, reason: 'crashed' })
    await waitFor(() => router.route(hostOf(app.name))?.idleReason === 'crashed', { what: 'H10', timeoutMs: 5_000 })
    expect(await ps(app)).toMatchObject([{ state: 'crashed' }])
    node.say(id, { observed: 'ready', reason: null })
    await waitFor(() => endpoints(app).length === 1, { what: 'it to be back', timeoutMs: 5_000 })
    expect(endpoints(app)).toEqual([before])
  })
})

describe('the controller restarted while a deployment is', () => {
  it.each(['pending', 'rolling', 'reverting'] as const)('%s: the next one brings it to its end', async (state) => {
    const app = await newApp()
    await deploy(app)
    router.isSilent = state === 'rolling'
    if (state === 'reverting') {
      node.behave = (item) => (item.releaseVersion === 2 ? { kind: 'crash', times: 3 } : { kind: 'ready' })
    }
    const deployment = await rig.release(app)
    if (state !== 'pending') {
      await waitFor(async () => ['rolling', 'reverting', 'failed'].includes(await stateOf(deployment.id)), {
        what: state,
        timeoutMs: 5_000,
        everyMs: 1,
      })
    }
    await rig.restart()
    router.isSilent = false
    expect((await rig.finish(deployment.id)).state).toBe(state === 'reverting' ? 'failed' : 'succeeded')
    await waitFor(async () => (await ps(app)).length === 1, { what: 'one instance', timeoutMs: 10_000 })
    expect(endpoints(app)).toMatchObject([{ releaseVersion: state === 'reverting' ? 1 : 2 }])
  })

  it('keeps routing and lets nothing stop meanwhile', async () => {
    const app = await newApp()
    await deploy(app)
    const [before] = await ps(app)
    await rig.restart()
    await waitFor(async () => (await ps(app))[0]?.state === 'running', { what: 'the instance', timeoutMs: 5_000 })
    expect((await ps(app))[0]?.id).toBe(before?.id)
    expect(endpoints(app)).toHaveLength(1)
  })
})

describe('the repository of an app', () => {
  it('keeps the commits of its releases when it is tidied, whatever became of its branches', async () => {
    const app = await rig.createApp('tidied')
    const repository = await rig.service(Repositories).ensure(app.repositoryId)
    const tree = (await git(repository, ['mktree'], { input: '' })).trim()
    const env = Object.fromEntries(
      ['AUTHOR', 'COMMITTER'].flatMap((who) => [
        [`GIT_${who}_NAME`, 'x'],
        [`GIT_${who}_EMAIL`, ''],
      ]),
    )
    const commit = (await git(repository, ['commit-tree', '-m', 'x', tree], { env })).trim()
    const image = `sha256:${'0'.repeat(64)}`
    const release = { app, image, processTypes: {}, commit, description: 'a test', author: 'operator' }
    for (let round = 0; round < 2; round += 1) await rig.service(ReleaseService).create(release)
    await rig.service(RepositoryUpkeep).tidy()
    const refs = await git(repository, ['for-each-ref', '--format=%(refname) %(objectname)'])
    expect(refs).toBe(`refs/croft/released/${commit} ${commit}\n`)
  })
})
