import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '@croft/kit'
import { beforeAll, describe, expect, it } from 'vitest'
import { gate } from './support/gate.js'
import { command } from './support/git-clone.js'
import type { PushRig } from './support/push-rig.js'
import { usePushRig } from './support/use-push-rig.js'

/** Pushes beside the death of what they go through: whole, or not at all. A real git and controller, a scripted executor. */

const isLong = process.env['CROFT_TEST_LONG'] !== undefined

let rig: PushRig
usePushRig((started) => (rig = started))

describe('a controller that is asked to stop while a push builds', () => {
  it('does so, and the push is refused by the next one', async () => {
    const app = await rig.clone('stopping')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const pushing = app.push()
    await rig.pushIs('stopping', 'accepted')
    const code = await rig.stop()
    slow.open()
    expect((await pushing).code).not.toBe(0)
    expect(code).toBe(0)
    await rig.boot()
    expect(['refused', 'canceled']).toContain((await rig.pushes('stopping')).at(-1))
    rig.onBuild = () => ({})
    const again = await app.push()
    expect(again.code, again.output).toBe(0)
  })
})

describe('Redis', () => {
  it('killed and emptied while a build waits loses nothing', async () => {
    const app = await rig.clone('redis')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const blocking = await rig.clone('redis-first')
    const first = blocking.push()
    await rig.pushIs('redis-first', 'accepted')
    const second = app.push()
    await rig.pushIs('redis', 'accepted')
    await rig.database.emptyRedis()
    slow.open()
    const results = await Promise.all([first, second])
    expect(
      results.map((result) => result.code),
      results.map((result) => result.output).join(),
    ).toEqual([0, 0])
  })
})

describe('a push whose ref moved', () => {
  /** The controller's program `sync` fails when a file `broken` lies here, waits for a word when a fifo `go` does, then does its work. */
  const SYNC = `#!/bin/sh
here=\${0%/*}
[ ! -e "$here/broken" ] || { echo 'sync: error syncing: Input/output error' >&2; exit 1; }
[ ! -e "$here/go" ] || { echo "$@" >"$here/new"; mv "$here/new" "$here/asked"; read -r go <"$here/go"; }
exec /bin/sync "$@"
`
  let tools: string
  beforeAll(async () => {
    tools = mkdtempSync(join(rig.folder, 'work/tools-'))
    writeFileSync(join(tools, 'sync'), SYNC, { mode: 0o755 })
    await rig.kill()
    await rig.boot(undefined, tools)
  })

  it('is acknowledged only after its repository was synced to disk', async () => {
    const app = await rig.clone('lasting')
    await command(['mkfifo', join(tools, 'go')])
    let isOver = false
    const pushing = app.push().finally(() => (isOver = true))
    await waitFor(() => existsSync(join(tools, 'asked')), { what: 'the sync', timeoutMs: 20_000 })
    expect(readFileSync(join(tools, 'asked'), 'utf8').trim()).toBe(`-f ${await rig.repository('lasting')}`)
    expect(await rig.head('lasting')).toBe((await app.git('rev-parse', 'HEAD')).output.trim())
    expect(await rig.pushes('lasting')).toEqual(['deployed'])
    await delay(500)
    expect(isOver).toBe(false)
    writeFileSync(join(tools, 'go'), 'go\n')
    const pushed = await pushing
    expect(pushed.code, pushed.output).toBe(0)
    expect(await rig.pushes('lasting')).toEqual(['committed'])
    rmSync(join(tools, 'go'))
  })
  it('is not acknowledged when its repository cannot be synced, and finished later', async () => {
    const app = await rig.clone('ailing-disk')
    writeFileSync(join(tools, 'broken'), '')
    const pushed = await app.push()
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).not.toContain('Application deployed')
    rmSync(join(tools, 'broken'))
    await rig.kill()
    await rig.boot()
    await waitFor(async () => (await rig.pushes('ailing-disk'))[0] === 'committed', {
      what: 'the push to be finished',
      timeoutMs: 10_000,
    })
  })
})

describe('a controller killed at', () => {
  /** Before this point a push is refused by the next controller, from it on it is finished. */
  const points = [
    ['push-received', false],
    ['push-accepted', false],
    ['build-queued', false],
    ['build-succeeded', false],
    ['release-created', false],
    ['deployment-succeeded', true],
    ['push-deployed', true],
    ['ref-moved', true],
    ['push-committed', true],
  ] as const
  const short = ['build-succeeded', 'ref-moved']
  it.each(isLong ? points : points.filter(([point]) => short.includes(point)))(
    '%s leaves a push that is whole or was not',
    async (point, isFinished) => {
      const name = `killed-${point}`
      const app = await rig.clone(name)
      expect((await app.push()).code).toBe(0)
      const before = await rig.head(name)
      await rig.kill()
      await rig.boot(point)
      const commit = await app.change()
      const pushed = await app.push()
      expect(pushed.code).not.toBe(0) // nobody was told that it worked
      await rig.dead()
      await rig.boot()
      await waitFor(
        async () => (await rig.pushes(name)).every((state) => ['committed', 'refused', 'canceled'].includes(state)),
        { what: 'the push to end', timeoutMs: 10_000 },
      )
      expect((await rig.pushes(name)).at(-1)).toBe(isFinished ? 'committed' : 'refused')
      expect(await rig.head(name)).toBe(isFinished ? commit : before)
      expect(rig.channels).toEqual([])
      const open = await rig.query(
        `SELECT 1 FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = $1 AND b.state IN ('queued', 'running')`,
        [name],
      )
      expect(open).toEqual([])
      const again = isFinished ? await app.change().then(() => app.push()) : await app.push()
      expect(again.code, again.output).toBe(0)
      const versions = (await rig.releases(name)).map((row) => row.version)
      expect(versions).toEqual(versions.map((_, index) => index + 1))
      expect((await rig.releases(name)).at(-1)?.commit).toBe(await rig.head(name))
      const fsck = await command(['git', `--git-dir=${await rig.repository(name)}`, 'fsck', '--strict'])
      expect(fsck.code, fsck.output).toBe(0)
    },
  )
})
