import { isExpired, STACKS } from '@croft/stacks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PushRig } from './support/push-rig.js'

/** Which stack a push is built on, and which folder of the repository; the executor follows a script. */

let rig: PushRig
const stacks: string[] = []
beforeAll(async () => {
  rig = await PushRig.start()
  rig.onBuild = ({ spec }) => {
    if (spec.kind === 'build') stacks.push(spec.stack)
    return {}
  }
})
afterAll(async () => {
  await rig?.close()
})

const composer = (php: string): Record<string, string> => ({ 'composer.json': JSON.stringify({ require: { php } }) })
const today = new Date().toISOString().slice(0, 10)
const bullseyeIsOver = isExpired(STACKS[0]!, today)

describe('a push', () => {
  it('is built on the newest stack with the version its files ask for, and says so', async () => {
    const app = await rig.clone('asks', composer('^8.4'))
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.lines[0]).toBe('-----> PHP 8.4 -> stack debian-13')
    expect(stacks.at(-1)).toBe('debian-13')
    const { body } = await rig.api<{ id: string; isCurrent: boolean; isPinned: boolean }[]>('/api/v1/apps/asks/stacks')
    expect(body.filter(({ isCurrent }) => isCurrent).map(({ id }) => id)).toEqual(['debian-13'])
  })

  it('that asks for nothing is built on the default stack without a word', async () => {
    const app = await rig.clone('asks-not')
    const pushed = await app.push()
    expect(pushed.output).not.toContain('stack')
    expect(stacks.at(-1)).toBe('debian-12')
  })

  it('is built on the stack that was set, and the same source once more after another was', async () => {
    const app = await rig.clone('pinned', composer('>=7.4'))
    await app.push()
    expect(stacks.at(-1)).toBe('debian-13')
    expect((await rig.patch('/api/v1/apps/pinned', { stack: 'debian-12' })).status).toBe(200)
    await app.commit('only words')
    const pushed = await app.push()
    expect(pushed.output).toContain('Exporting')
    expect(pushed.output).not.toContain('->  stack')
    expect(stacks.at(-1)).toBe('debian-12')
  })

  it('for a version that the set stack, or none, has is refused with what there is', async () => {
    const app = await rig.clone('unavailable', composer('^8.3 <8.4'))
    const nowhere = await app.push()
    expect(nowhere.code).not.toBe(0)
    expect(nowhere.output).toContain('no stack has PHP ^8.3 <8.4.0, which composer.json asks for')
    expect(nowhere.output).toContain('PHP 7.4 on debian-11, PHP 8.2 on debian-12, PHP 8.4 on debian-13')
    expect((await rig.patch('/api/v1/apps/unavailable', { stack: 'debian-12' })).status).toBe(200)
    app.write(composer('8.4.*'))
    await app.commit('newer')
    const elsewhere = await app.push()
    expect(elsewhere.output).toContain('the stack debian-12 has PHP 8.2, not PHP 8.4.x, which composer.json asks for')
    expect(elsewhere.output).toContain('Try: croft stack:set debian-13')
  })

  it.runIf(bullseyeIsOver)('on an expired stack is warned, and refused where the operator says so', async () => {
    const app = await rig.clone('old', composer('7.4.*'))
    const warning = 'stack debian-11 (Debian 11) and PHP 7.4: no security fixes since 2026-08-31'
    const warned = await app.push()
    expect(warned.code, warned.output).toBe(0)
    expect(warned.lines).toContain(` !     ${warning}`)
    expect((await rig.patch('/api/v1/settings', { expiredStacks: 'refuse' })).status).toBe(200)
    await app.change()
    const refused = await app.push()
    expect(refused.code).not.toBe(0)
    expect(refused.lines).toContain(` !     ${warning}`)
    expect(refused.lines).toContain(' !     Try: croft stack lists the stacks that are kept up')
    expect((await rig.patch('/api/v1/settings', { expiredStacks: 'sometimes' })).status).toBe(400)
    await rig.patch('/api/v1/settings', { expiredStacks: 'warn' })
  })

  it('on a stack that nobody knows cannot be asked for', async () => {
    await rig.createApp('unknown')
    expect((await rig.patch('/api/v1/apps/unknown', { stack: 'heroku-24' })).status).toBe(400)
  })
})

describe('an app in one folder of a larger repository', () => {
  it('is built from that folder alone, and a change outside it builds nothing', async () => {
    await rig.createApp('folder')
    expect((await rig.patch('/api/v1/apps/folder', { sourceDir: 'apps/web' })).status).toBe(200)
    const app = await rig.clone('folder', {
      'apps/web/Procfile': 'web: node server.js\n',
      'apps/web/lib/a.js': 'x',
      'apps/web/.croftignore': '*.md\n',
      'apps/web/notes.md': 'x',
      'apps/web/composer.json': '{"require":{"php":"^8.4"}}',
      'composer.json': '{"require":{"php":"^7.4"}}',
      Procfile: 'not a Procfile',
    })
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.output).toContain('PHP 8.4 -> stack debian-13')
    expect(rig.sources.at(-1)?.toSorted()).toEqual(['.croftignore', 'Procfile', 'composer.json', 'lib/a.js'])
    app.write({ 'README.md': 'outside' })
    await app.commit('outside')
    const again = await app.push()
    expect(again.output).toContain('Source unchanged')
  })

  it('that the commit does not have is refused by name', async () => {
    await rig.createApp('missing')
    await rig.patch('/api/v1/apps/missing', { sourceDir: 'web' })
    const app = await rig.clone('missing', { 'web.txt': 'x' })
    const pushed = await app.push()
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toContain("the commit has no folder web/, which the app's setting source-dir names")
  })

  it.each(['/etc', '../other', 'a/../b', './web', 'web/', '', 'a//b'])(
    '%j is no folder of a repository',
    async (sourceDir) => {
      await rig.createApp('odd').catch(() => undefined)
      expect((await rig.patch('/api/v1/apps/odd', { sourceDir })).status).toBe(400)
    },
  )
})
