import { mkdtempSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from '@croft/kit'
import type { BuildResult } from '@croft/protocol'
import { describe, expect, it } from 'vitest'
import { gate } from './support/gate.js'
import { command, leave, type Clone } from './support/git-clone.js'
import type { PushRig } from './support/push-rig.js'
import { usePushRig } from './support/use-push-rig.js'

/** Pushes with a real git to a real controller process; the executor and the router follow a script. */

let rig: PushRig
usePushRig((started) => (rig = started))

describe('a push', () => {
  it('makes the app, builds its source, deploys it and only then moves the ref', async () => {
    const shop = await rig.clone('shop', { 'lib/a b.js': 'x', Procfile: 'web: node server.js\n' })
    const pushed = await shop.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.lines).toEqual([
      '-----> Node.js app detected (package.json)',
      '-----> Exporting image',
      '-----> Releasing v1',
      expect.stringMatching(/^-----> Starting web\.1 \.\.\. healthy +\d+\.\d s$/),
      expect.stringMatching(/^=====> Application deployed: v1 in \d+\.\d s {2}http:\/\/shop\.localhost:8080$/),
    ])
    expect(rig.sources.at(-1)?.toSorted()).toEqual(['Procfile', 'lib/a b.js', 'package.json'])
    expect(await rig.head('shop')).toBe((await shop.git('rev-parse', 'HEAD')).output.trim())
    expect(await rig.pushes('shop')).toEqual(['committed'])
    expect(rig.channels).toEqual([])
    expect((await command(['git', `--git-dir=${await rig.repository('shop')}`, 'fsck', '--strict'])).code).toBe(0)
  })
  it('of the same tree reuses the image; -o rebuild builds anew', async () => {
    const app = await rig.clone('same-tree')
    await app.push()
    await app.commit('only words')
    const again = await app.push()
    expect(again.code, again.output).toBe(0)
    expect(again.output).not.toContain('Exporting')
    await app.commit('more words')
    const rebuilt = await app.git('push', '-o', 'rebuild', 'croft', 'main')
    expect(rebuilt.output).toContain('Exporting')
    const changed = await rig.patch('/api/v1/apps/same-tree', { buildpacks: ['croft/node'] })
    expect(JSON.parse(changed.text)).toMatchObject({ settings: { buildpacks: ['croft/node'] } })
    await app.commit('the same with other buildpacks')
    expect((await app.push()).output).toContain('Exporting')
    await app.commit('and with the same ones')
    expect((await app.push()).output).not.toContain('Exporting')
    const rows = await rig.releases('same-tree')
    expect(rows.map((row) => row.version)).toEqual([1, 2, 3, 4, 5])
    expect(new Set(rows.map((row) => row.image)).size).toBe(1)
  })
  it('of an app whose image needs a key gets one, once, and never over one of its own', async () => {
    const image = `sha256:${'b'.repeat(64)}`
    const result = (generatedConfig: string[]): BuildResult => ({
      outcome: 'succeeded',
      image,
      processTypes: { web: { command: 'puma', argv: ['/cnb/process/web'] } },
      newLayers: 1,
      newBytes: 1,
      generatedConfig,
    })
    const values = async (): Promise<Record<string, string>> =>
      (await rig.api<Record<string, string>>('/api/v1/apps/keyed/config/values')).body
    rig.onBuild = () => ({ result: result(['SECRET_KEY_BASE', 'PORT']) })
    const app = await rig.clone('keyed')
    expect((await app.push()).code).toBe(0)
    const first = await values()
    expect(first).toEqual({ SECRET_KEY_BASE: expect.stringMatching(/^[0-9a-f]{64}$/) })

    rig.onBuild = () => ({ result: result(['SECRET_KEY_BASE', 'SECOND_KEY']) })
    app.write({ 'server.js': 'changed' })
    await app.commit('change')
    expect((await app.push()).code).toBe(0)
    expect(await values()).toEqual({ ...first, SECOND_KEY: expect.stringMatching(/^[0-9a-f]{64}$/) })
  })
  it('of an app.json that describes config vars sets them with the first deployment, and tells what it does not do', async () => {
    const manifest = (more: object) =>
      JSON.stringify({
        env: {
          PLAIN: 'a',
          KEY: { generator: 'secret' },
          SYNCED: { value: '1', sync: true },
          DATABASE: { description: 'where it is' },
          ...more,
        },
        scripts: { dokku: { postdeploy: 'rake db:migrate' } },
        cron: [{ command: 'x', schedule: '@daily' }],
      })
    const values = async (): Promise<Record<string, string>> =>
      (await rig.api<Record<string, string>>('/api/v1/apps/described/config/values')).body
    const app = await rig.clone('described', { 'app.json': manifest({}) })
    const refused = await app.push()
    expect(refused.code).not.toBe(0)
    expect(refused.output).toMatch(
      /app\.json requires config vars that are not set: DATABASE \(where it is\)[^]*croft config:set -a described DATABASE=\.\.\., then push again/,
    )
    expect(await values()).toEqual({})
    await rig.patch('/api/v1/apps/described/config', { set: { DATABASE: 'db', PLAIN: 'mine' } })
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.lines.slice(0, 2)).toEqual([
      ' !     app.json: cron, scripts.dokku.postdeploy are not run by this version of Croft',
      '-----> Setting config vars of app.json: SYNCED, KEY',
    ])
    const first = await values()
    expect(first).toEqual({
      DATABASE: 'db',
      PLAIN: 'mine',
      KEY: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      SYNCED: '1',
    })
    await rig.patch('/api/v1/apps/described/config', { set: { SYNCED: 'x' }, unset: ['PLAIN'] })
    app.write({ 'app.json': manifest({ LATER: 'b', NEEDED: {} }) })
    await app.commit('more variables')
    const later = await app.push()
    expect(later.code, later.output).toBe(0)
    expect(later.output).toContain('not set: NEEDED; croft config:set -a described NEEDED=...')
    expect(await values()).toEqual({ DATABASE: 'db', KEY: first['KEY'], SYNCED: '1' })
  })
  it('builds with the variables that are for builds, and runs with those that are for instances', async () => {
    const app = await rig.clone('scoped')
    await rig.createApp('scoped')
    const set = (name: string, scope: string) =>
      rig.patch('/api/v1/apps/scoped/config', { set: { [name]: scope }, scope })
    for (const [name, scope] of [
      ['RUN', 'run'],
      ['BUILD', 'build'],
      ['BOTH', 'both'],
    ] as const) {
      await set(name, scope)
    }
    const seen: Record<string, unknown> = {}
    const behave = rig.node.behave
    rig.node.behave = (item) => {
      seen[item.spec.kind] = item.spec.env
      return behave(item)
    }
    expect((await app.push()).code).toBe(0)
    expect(seen['build']).toEqual({ BUILD: 'build', BOTH: 'both' })
    expect(seen['service']).toMatchObject({ RUN: 'run', BOTH: 'both' })
    expect(seen['service']).not.toHaveProperty('BUILD')
  })
  it('can be cloned and fetched, and a clone has the branch that runs', async () => {
    const app = await rig.clone('cloned', { 'server.js': 'served' })
    await app.push('main:master')
    const into = mkdtempSync(join(rig.folder, 'work/into-'))
    const cloned = await command(['git', 'clone', '-q', rig.url('cloned'), into])
    expect(cloned.code, cloned.output).toBe(0)
    expect(readdirSync(into)).toContain('server.js')
    expect((await app.git('fetch', '-q', 'croft')).code).toBe(0)
  })
  it('leaves out of the source what .croftignore names', async () => {
    const app = await rig.clone('ignoring', {
      '.croftignore': 'docs/\n*.md\n',
      'docs/a.txt': 'x',
      'README.md': 'x',
      'server.js': 'x',
    })
    expect((await app.push()).code).toBe(0)
    expect(rig.sources.at(-1)?.toSorted()).toEqual(['.croftignore', 'package.json', 'server.js'])
  })
  it('leaves out what project.toml does not include', async () => {
    const app = await rig.clone('including', {
      'project.toml': '[_]\nschema-version = "0.2"\n[io.buildpacks]\ninclude = ["src/", "package.json"]\n',
      'src/a.js': 'x',
      'docs/a.txt': 'x',
    })
    expect((await app.push()).code).toBe(0)
    expect(rig.sources.at(-1)?.toSorted()).toEqual(['package.json', 'src/a.js'])
  })
  it('says something within a second while a build says nothing, and its text is plain', async () => {
    const app = await rig.clone('quiet')
    const tookMs: number[] = []
    // once more where something that runs beside this file held it up
    for (let round = 0; round < 3 && !(Math.min(...tookMs) < 1_500); round += 1) {
      const slow = gate()
      rig.onBuild = () => ({ lines: ['\u001b]0;owned\u0007gr\u00fcn\u001b[2J'], until: slow.until })
      await app.change()
      const startedAt = performance.now()
      const pushing = app.startPush('main')
      let output = ''
      pushing.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()))
      await waitFor(() => output.includes('remote: '), { what: 'a first line', timeoutMs: 10_000 })
      tookMs.push(performance.now() - startedAt)
      slow.open()
      await waitFor(() => pushing.exitCode !== null, { what: 'the push', timeoutMs: 20_000 })
      expect(pushing.exitCode, output).toBe(0)
      expect(output).toContain('gr?n')
      expect(output.replace(/\u001b\[K/g, '')).toMatch(/^[\x20-\x7e\n\r]*$/)
    }
    expect(Math.min(...tookMs)).toBeLessThan(1_500) // git's own start included
  })
})

describe('pushes at once', () => {
  async function three(name: string): Promise<[Clone, Clone, Clone]> {
    const first = await rig.clone(name)
    expect((await first.push()).code).toBe(0)
    const others = await Promise.all([rig.clone(name), rig.clone(name)])
    for (const other of others) {
      await other.git('fetch', '-q', 'croft', 'main')
      await other.git('reset', '-q', '--hard', 'FETCH_HEAD')
    }
    return [first, others[0] as Clone, others[1] as Clone]
  }
  it('build one by one: the second waits, a third takes its place, and the third is told to fetch first', async () => {
    const [first, second, third] = await three('queue')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    await Promise.all([first.change('1'), second.change('2'), third.change('3')])
    const one = first.push()
    await rig.pushIs('queue', 'accepted')
    const two = second.push()
    await waitFor(async () => (await rig.pushes('queue')).length === 3, {
      what: 'the second to wait',
      timeoutMs: 10_000,
    })
    const last = third.push()
    const superseded = await two
    slow.open()
    const [won, stale] = await Promise.all([one, last])
    expect(won.code, won.output).toBe(0)
    expect(superseded.code).not.toBe(0)
    expect(superseded.output).toMatch(/a newer push by operator took the place/)
    expect(stale.code).not.toBe(0)
    expect(stale.output).toMatch(/Waiting for another push[\s\S]*another push was deployed first[\s\S]*git fetch croft/)
    expect(await rig.pushes('queue')).toEqual(['committed', 'committed', 'canceled', 'refused'])
  })
  it('of apps of their own do not wait for each other’s locks', async () => {
    const [a, b] = await Promise.all([rig.clone('own-a'), rig.clone('own-b')])
    const results = await Promise.all([a.push(), b.push()])
    expect(results.map((result) => result.code)).toEqual([0, 0])
  })
})

describe('a client that leaves', () => {
  it('cancels its build, and frees the lock', async () => {
    const app = await rig.clone('leaving')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const pushing = app.startPush('main')
    await rig.pushIs('leaving', 'accepted')
    leave(pushing)
    await rig.pushIs('leaving', 'canceled')
    slow.open()
    const builds = await rig.query<{ state: string }>(
      `SELECT b.state FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'leaving'`,
    )
    expect(builds.map((build) => build.state)).toEqual(['canceled'])
    rig.onBuild = () => ({})
    expect((await app.push()).code).toBe(0)
  })
  it('with -o detach lets it go on to its end', async () => {
    const app = await rig.clone('detached')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const pushing = app.startPush('-o', 'detach', 'main')
    await rig.pushIs('detached', 'accepted')
    leave(pushing)
    slow.open()
    await rig.pushIs('detached', 'committed')
    expect(await rig.head('detached')).toBeDefined()
  })
})

describe('builds', () => {
  interface Shown {
    id: string
    state: string
    reason: string | null
    commit: string
    image: string | null
  }
  it('are shown with their log, to their team only', async () => {
    const app = await rig.clone('shown')
    const api = <T>(path: string) => rig.api<T>(`/api/v1/apps/shown/builds${path}`)
    expect((await app.push()).code).toBe(0)
    const { body: builds } = await api<Shown[]>('')
    expect(builds).toMatchObject([{ state: 'succeeded', reason: null, commit: await rig.head('shown') }])
    expect((await api<Shown>(`/${builds[0]?.id}`)).body).toEqual(builds[0])
    for (const query of ['', '?follow=1']) {
      const log = await rig.text(`/api/v1/apps/shown/builds/${builds[0]?.id}/logs${query}`)
      expect(log).toContain('Node.js app detected')
    }
    for (const id of ['01234567-89ab-7def-8123-456789abcdef', '..%2f..%2fetc']) {
      expect((await api(`/${id}`)).status).toBe(404)
      expect((await api(`/${id}/logs`)).status).toBe(404)
    }
  })
  it('can be made anew of what was pushed last, with caches or without, as a push that moves no ref', async () => {
    const app = await rig.clone('anew')
    const ask = (body: unknown) => rig.post('/api/v1/apps/anew/builds', body)
    await rig.createApp('anew')
    expect((await ask({})).status).toBe(409)
    expect((await app.push()).code).toBe(0)
    const head = await rig.head('anew')
    for (const cache of [true, false]) {
      const { status, text } = await ask({ cache })
      expect(status, text).toBe(200)
      const said = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { line?: string }]))
      expect(said.map(({ line }) => line)).toContain('-----> Exporting image')
      expect(said.at(-1)).toEqual({ outcome: 'deployed', release: cache ? 2 : 3 })
    }
    expect(await rig.head('anew')).toBe(head)
    const short = head?.slice(0, 7)
    expect((await rig.releases('anew')).map(({ description }) => description)).toEqual([
      `Push ${short}`,
      `Build ${short}`,
      `Build ${short}`,
    ])
    expect(await rig.pushes('anew')).toEqual(['committed', 'committed', 'committed'])
    const built = await rig.query<{ clean: boolean }>(
      `SELECT b.is_clean AS clean FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'anew' ORDER BY b.id`,
    )
    expect(built.map(({ clean }) => clean)).toEqual([false, false, true])
    expect(await rig.delete('/api/v1/apps/anew/builds/cache')).toBe(204)
    await ask({})
    await ask({})
    const afterwards = await rig.query<{ clean: boolean }>(
      `SELECT b.is_clean AS clean FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'anew' ORDER BY b.id OFFSET 3`,
    )
    expect(afterwards.map(({ clean }) => clean)).toEqual([true, false])
    expect((await ask({ cash: false })).status).toBe(400)
  })
  it('are followed and canceled by their id, once', async () => {
    const app = await rig.clone('stopped')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const pushing = app.push()
    const builds = '/api/v1/apps/stopped/builds'
    const open = await waitFor(
      async () => (await rig.api<Shown[]>(builds)).body.find?.(({ state }) => state === 'running'),
      { what: 'a running build', timeoutMs: 10_000 },
    )
    const following = rig.text(`${builds}/${open.id}/logs?follow=1`)
    const canceled = await rig.post(`${builds}/${open.id}/cancel`, {})
    expect(JSON.parse(canceled.text)).toMatchObject({ id: open.id, state: 'canceled' })
    expect((await rig.post(`${builds}/${open.id}/cancel`, {})).status).toBe(409)
    slow.open()
    const pushed = await pushing
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toContain('canceled by operator')
    await following
    expect(await rig.releases('stopped')).toEqual([])
  })
  it('whose executor was restarted are built once more, and make one image and one release', async () => {
    const app = await rig.clone('restarted')
    const interrupted = {
      outcome: 'failed' as const,
      reason: 'interrupted' as const,
      message: 'the build was interrupted: its executor was restarted',
      suggestion: 'push again',
    }
    let builds = 0
    rig.onBuild = () => ((builds += 1) === 1 ? { result: interrupted } : {})
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.lines).toContain('-----> Building once more: what built it was restarted')
    const rows = await rig.query<{ attempt: number; state: string; instances: string }>(
      `SELECT b.attempt, b.state, (SELECT count(*) FROM instance i WHERE i.build_id = b.id) AS instances
       FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'restarted'`,
    )
    expect(rows).toEqual([{ attempt: 2, state: 'succeeded', instances: '2' }])
    expect(await rig.releases('restarted')).toHaveLength(1)
    rig.onBuild = () => ({ result: interrupted })
    await app.change()
    const refused = await app.push()
    expect(refused.code).not.toBe(0)
    expect(refused.output).toContain('its executor was restarted')
    expect(await rig.releases('restarted')).toHaveLength(1)
  })
  it('whose node is lost are queued once more, and then fail', async () => {
    const app = await rig.clone('lost')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const pushing = app.push()
    const open = () =>
      rig.query<{ id: string; attempt: number; state: string }>(
        `SELECT b.id, b.attempt, b.state FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'lost'`,
      )
    const interrupted = async (
      attempt: number,
      then: (row: { attempt: number; state: string }) => boolean,
    ): Promise<void> => {
      await waitFor(async () => (await open()).some((row) => row.state === 'running' && row.attempt === attempt), {
        what: `attempt ${attempt}`,
        timeoutMs: 10_000,
      })
      // As if nobody had heard of the node for a minute: the instance is gone, the lease ran out.
      await rig.query(
        `UPDATE instance SET gone_at = now() WHERE build_id = (SELECT b.id FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'lost')`,
      )
      await rig.query(`UPDATE build SET lease_until = now() - interval '1 second' WHERE state = 'running'`)
      await waitFor(async () => (await open()).some(then), { what: 'the sweeper', timeoutMs: 12_000 })
    }
    await interrupted(1, (row) => row.attempt === 2)
    await interrupted(2, (row) => row.state === 'failed')
    slow.open()
    const pushed = await pushing
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toMatch(/the node that built was lost/)
  })
})
