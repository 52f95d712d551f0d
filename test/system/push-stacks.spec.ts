import { join } from 'node:path'
import type { BuildWishes, DesiredInstance } from '@croft/protocol'
import { isExpired, STACKS } from '@croft/stacks'
import { beforeEach, describe, expect, it } from 'vitest'
import { imagesInUse } from '../../apps/controller/src/image/images-in-use.js'
import { call } from './support/socket-call.js'
import { dockerfileImage } from './support/dockerfile-image.js'
import type { PushRig } from './support/push-rig.js'
import type { BuildScript } from './support/scripted-builds.js'
import { usePushRig } from './support/use-push-rig.js'

/** Which stack and which builder a push is built with, and which folder of the repository; the executor follows a script. */

let rig: PushRig
const stacks: string[] = []
usePushRig((started) => (rig = started))
beforeEach(() => {
  rig.onBuild = ({ spec }) => {
    if (spec.kind === 'build') stacks.push(spec.stack)
    return {}
  }
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

describe('an app with a Dockerfile', () => {
  const Dockerfile = 'FROM scratch\nCOPY hello /\nCMD ["/hello"]\n'
  const told: BuildWishes[] = []

  const making = (config: object) => dockerfileImage(rig, config, (wishes) => told.push(wishes))

  it('is built by it, says so, and runs what the image says', async () => {
    rig.onBuild = await making({ Entrypoint: ['/hello'], Cmd: ['-v'], User: '5:5', ExposedPorts: { '3000/tcp': {} } })
    const app = await rig.clone('dockerized', { Dockerfile, hello: 'x', 'composer.json': '{"require":{"php":"^7.4"}}' })
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.lines[0]).toBe(
      '-----> Building the Dockerfile (with buildpacks: croft apps:set dockerized builder=buildpacks)',
    )
    expect(told.at(-1)?.dockerfile).toBe(Dockerfile)
    const item = [...rig.node.items.values()].find(({ appName, type }) => appName === 'dockerized' && type === 'web')
    expect(item?.spec).toMatchObject({ kind: 'service', command: ['/hello', '-v'], user: '5:5', port: 3000 })
  })

  it('is built with buildpacks where something asks for them, and by its Dockerfile again when the app says so', async () => {
    const app = await rig.clone('both', { Dockerfile, Procfile: 'web: /hello $PORT\nworker: /hello work\n' })
    const first = await app.push()
    expect(first.output).toContain(
      'Building with buildpacks, as the Procfile asks for (with the Dockerfile: croft apps:set both builder=dockerfile)',
    )
    expect((await rig.patch('/api/v1/apps/both', { builder: 'dockerfile' })).status).toBe(200)
    rig.onBuild = await making({ Cmd: ['/hello'] })
    await app.commit('only words')
    const second = await app.push()
    expect(second.code, second.output).toBe(0)
    expect(second.output).toContain('Building the Dockerfile')
    const { body } = await rig.api<{ processTypes: object }>('/api/v1/apps/both/releases/v2')
    expect(body.processTypes).toMatchObject({ web: '/hello $PORT', worker: '/hello work' })
    const item = [...rig.node.items.values()].find(
      ({ appName, releaseVersion }) => appName === 'both' && releaseVersion === 2,
    )
    expect(item?.spec).toMatchObject({ kind: 'service', command: ['/bin/sh', '-c', '/hello $PORT'] })
    expect((await rig.patch('/api/v1/apps/both', { builder: 'make' })).status).toBe(400)
  })

  it.each<[string, Record<string, string>, object, RegExp, RegExp]>([
    [
      'broken',
      { Dockerfile: 'FROM scratch\nRNU make\n' },
      {},
      /Dockerfile line 2: there is no instruction RNU/,
      /correct line 2/,
    ],
    ['unsaid', { Dockerfile }, {}, /the image has neither ENTRYPOINT nor CMD/, /add one to its Dockerfile/],
    [
      'many',
      { Dockerfile },
      { Cmd: ['/x'], ExposedPorts: { '80/tcp': {}, '81/tcp': {} } },
      /exposes several ports: 80, 81/,
      /ENV PORT=80/,
    ],
  ])('that is %s is refused with what is wrong and what to do', async (name, files, config, cause, remedy) => {
    rig.onBuild = await making(config)
    const app = await rig.clone(name, files)
    const pushed = await app.push()
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toMatch(cause)
    expect(pushed.output).toMatch(remedy)
  })

  it('that is not there any more although the app asks for it is refused', async () => {
    await rig.createApp('gone')
    await rig.patch('/api/v1/apps/gone', { builder: 'dockerfile' })
    const app = await rig.clone('gone')
    expect((await app.push()).output).toContain(
      "the commit has no Dockerfile, which the app's setting builder asks for",
    )
  })
})

describe('an app with a builder image', () => {
  const own = 'registry.corp.example/builders/base:1'
  const RUN_IMAGE = `sha256:${'d'.repeat(64)}`
  const settings = (body: object) => rig.patch('/api/v1/settings', body)
  const told: BuildWishes[] = []
  /** Builds as an executor does that was told of a builder image. */
  const used = (reference: string) => {
    const image = `sha256:${'e'.repeat(64)}`
    const builderImage = {
      reference,
      digest: image,
      runImage: { reference: 'registry.corp.example/run:1', digest: RUN_IMAGE },
    }
    return ({ spec }: DesiredInstance): Partial<BuildScript> => ({
      result: {
        outcome: 'succeeded',
        image,
        processTypes: { web: { command: 'x', argv: ['x'] } },
        newLayers: 1,
        newBytes: 1,
        builderImage,
      },
      until: call<BuildWishes>(
        join(rig.folder, 'run/node/node.sock'),
        'GET',
        `/v1/builds/${spec.kind === 'build' ? spec.buildId : ''}/wishes`,
      ).then(({ body }) => void told.push(body)),
    })
  }

  it('is built by it on no stack of Croft, whatever its files ask for, and the build says so', async () => {
    await rig.createApp('foreign')
    expect((await rig.patch('/api/v1/apps/foreign', { builder: 'acme/builder:1' })).status).toBe(200)
    rig.onBuild = used('acme/builder:1')
    const app = await rig.clone('foreign', composer('^8.4'))
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.output).not.toContain('stack')
    expect(told.at(-1)).toMatchObject({ builder: 'acme/builder:1' })
    const { body } = await rig.api<{ builder: { reference: string } }[]>('/api/v1/apps/foreign/builds')
    expect(body[0]?.builder).toMatchObject({ reference: 'acme/builder:1', runImage: { digest: expect.any(String) } })
    const { body: found } = await rig.api<{ id: string }>('/api/v1/apps/foreign')
    const query = (sql: string, values: unknown[]) => rig.query(sql, values)
    expect([...(await imagesInUse({ query } as never, found.id))]).toContain(RUN_IMAGE) // and so it is not collected
    const { body: shown } = await rig.api<{ isCurrent: boolean }[]>('/api/v1/apps/foreign/stacks')
    expect(shown.some(({ isCurrent }) => isCurrent)).toBe(false)
  })

  it('has that of the platform where it names none, and is built anew when it changes', async () => {
    expect((await settings({ builder: own })).status).toBe(200)
    rig.onBuild = used(own)
    const app = await rig.clone('of-platform')
    expect((await app.push()).code).toBe(0)
    expect(told.at(-1)).toMatchObject({ builder: own })
    await app.commit('only words')
    expect((await app.push()).output).toContain('Source unchanged')
    expect((await settings({ builder: null })).status).toBe(200)
    rig.onBuild = () => ({})
    await app.commit('only words again')
    expect((await app.push()).output).not.toContain('Source unchanged')
  })

  it('is refused where operators do not allow it, when it is set and when it is pushed', async () => {
    await rig.createApp('limited')
    expect((await rig.patch('/api/v1/apps/limited', { builder: 'acme/builder:1' })).status).toBe(200)
    expect((await settings({ builderSources: ['registry.corp.example/builders/'] })).status).toBe(200)
    const app = await rig.clone('limited')
    expect((await app.push()).output).toMatch(
      /apps may not be built by acme\/builder:1 on this platform[^]*allowed are those at or below registry\.corp\.example\/builders\//,
    )
    const again = await rig.patch('/api/v1/apps/limited', { builder: 'acme/builder:2' })
    expect([again.status, again.text]).toEqual([403, expect.stringContaining('builder-not-allowed')])
    expect((await rig.patch('/api/v1/apps/limited', { builder: own })).status).toBe(200)
    for (const wrong of [{ builder: 'Acme/B' }, { builderSources: ['https://acme/'] }])
      expect((await settings(wrong)).status).toBe(400)
    expect((await settings({ builderSources: ['*'] })).status).toBe(200)
  })
})
