import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { waitFor } from '@croft/kit'
import type { BuildWishes } from '@croft/protocol'
import { pack, type Header } from 'tar-stream'
import { request } from 'undici'
import { describe, expect, it } from 'vitest'
import { dockerfileImage } from './support/dockerfile-image.js'
import { checkout, command } from './support/platform.js'
import { gate } from './support/gate.js'
import { command as git } from './support/git-clone.js'
import type { PushRig } from './support/push-rig.js'
import { usePushRig } from './support/use-push-rig.js'

/** `croft deploy --dockerfile` with the real CLI and a real controller process; the executor and the router follow a script. */

const isLong = process.env['CROFT_TEST_LONG'] !== undefined
let rig: PushRig
usePushRig((started) => (rig = started))

const Dockerfile = 'FROM scratch\nCOPY hello /\nCMD ["/hello"]\n'

/** A folder of a person, with the app that it is deployed to. */
async function folderOf(app: string, files: Record<string, string>): Promise<string> {
  await rig.createApp(app)
  const folder = join(mkdtempSync(join(rig.folder, 'work/folder-')), app)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}
const croft = (...args: string[]) => command(join(checkout, 'croft'), args, { env: rig.cliEnv, timeoutMs: 60_000 })
const deploy = (app: string, folder: string, ...more: string[]) =>
  croft('deploy', '--dockerfile', folder, '-a', app, ...more)

/** Sends an archive as somebody might who does not use the CLI. */
async function send(app: string, tar: Readable): Promise<{ status: number; code: string; title: string }> {
  const answer = await request(`${rig.cliEnv['CROFT_URL']}/api/v1/apps/${app}/folders?name=evil`, {
    method: 'POST',
    headers: { authorization: `Bearer ${rig.token}`, 'content-type': 'application/x-tar' },
    body: tar,
  })
  return { status: answer.statusCode, ...((await answer.body.json()) as { code: string; title: string }) }
}

/** What a process has said so far, and its exit code. */
function listen(child: ChildProcess): { said: () => string; ended: Promise<unknown> } {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return { said: () => text, ended: new Promise((resolve) => child.on('close', resolve)) }
}

describe('deploy --dockerfile', () => {
  it('sends the folder without what .dockerignore names, shows the build and serves; the release says where it came from', async () => {
    const told: BuildWishes[] = []
    rig.onBuild = await dockerfileImage(rig, { Cmd: ['/hello'] }, (wishes) => told.push(wishes))
    const folder = await folderOf('folder', {
      Dockerfile,
      hello: 'x',
      'bin/run': 'x',
      '.dockerignore': 'node_modules\n**/*.log\n!keep.log\nProcfile\n',
      'node_modules/a/index.js': 'x',
      'lib/debug.log': 'x',
      'keep.log': 'x',
      '.git/config': 'mine',
      Procfile: 'worker: /hello work\n',
    })
    chmodSync(join(folder, 'bin/run'), 0o755)
    symlinkSync('../../etc/passwd', join(folder, 'out'))
    const deployed = await deploy('folder', folder)
    expect(deployed.code, deployed.output).toBe(0)
    const lines = deployed.stdout.trimEnd().split('\n')
    expect(lines).toEqual([
      `-----> Sending ${folder} (7 files, 1 kB)`,
      '-----> Building the Dockerfile of the folder folder',
      '-----> Node.js app detected (package.json)', // what the script says
      '-----> Exporting image',
      '-----> Releasing v1',
      expect.stringMatching(/^-----> Starting web\.1 \.\.\. healthy +\d+\.\d s$/),
      expect.stringMatching(/^=====> Application deployed: v1 in \d+\.\d s {2}http:\/\/folder\.localhost:8080$/),
    ])
    expect(rig.sources.at(-1)?.toSorted()).toEqual(
      ['.dockerignore', 'Dockerfile', 'Procfile', 'bin/run', 'hello', 'keep.log', 'out'].toSorted(),
    )
    expect(told.at(-1)?.dockerfile).toBe(Dockerfile)
    expect(await rig.releases('folder')).toMatchObject([
      { version: 1, commit: null, description: 'Deploy folder folder by its Dockerfile' },
    ])
    expect(await rig.pushes('folder')).toEqual(['committed'])
  })

  it.runIf(isLong)(
    'of the same folder uses the image again, of a changed one builds, and builds:create builds what serves',
    async () => {
      rig.onBuild = await dockerfileImage(rig, { Cmd: ['/hello'] })
      const folder = await folderOf('again', { Dockerfile, hello: 'x' })
      expect((await deploy('again', folder)).code).toBe(0)
      expect((await deploy('again', folder)).stdout).toContain('Source unchanged: image of v1 is used again')
      writeFileSync(join(folder, 'hello'), 'changed')
      expect((await deploy('again', folder)).stdout).toContain('Exporting image')
      const anew = await croft('builds:create', '-a', 'again')
      expect(anew.code, anew.output).toBe(0)
      expect(anew.stdout).toContain('Building the Dockerfile of the folder again')
      expect((await rig.releases('again')).at(-1)?.description).toBe('Build folder again by its Dockerfile')
      const refs = await git([
        'git',
        `--git-dir=${await rig.repository('again')}`,
        'for-each-ref',
        '--format=%(refname)',
      ])
      expect(refs.output.trim()).toMatch(/^refs\/croft\/folders\/[-0-9a-f]{36}$/)
      expect((await git(['git', `--git-dir=${await rig.repository('again')}`, 'fsck', '--strict'])).code).toBe(0)
    },
  )

  it.runIf(isLong)(
    'and pushes of the same app do not get in each other’s way, and no clone sees a folder',
    async () => {
      rig.onBuild = await dockerfileImage(rig, { Cmd: ['/hello'] })
      const app = await rig.clone('mixed', { Procfile: 'web: /hello\n' })
      rig.behaveAsEver()
      expect((await app.push()).code).toBe(0)
      rig.onBuild = await dockerfileImage(rig, { Cmd: ['/hello'] })
      app.write({ Dockerfile, hello: 'x' })
      expect((await deploy('mixed', app.folder)).code).toBe(0)
      rig.behaveAsEver()
      await app.change()
      const pushed = await app.push()
      expect(pushed.code, pushed.output).toBe(0)
      expect(pushed.output).toContain('Building with buildpacks, as the Procfile asks for')
      const seen = await git(['git', 'ls-remote', rig.url('mixed')])
      expect(seen.output).toContain('refs/heads/main')
      expect(seen.output).not.toContain('refs/croft')
      const refused = await app.push('main:refs/croft/folders/mine')
      expect(refused.code).not.toBe(0)
      expect((await rig.releases('mixed')).map(({ version }) => version)).toEqual([1, 2, 3])
    },
  )

  it.runIf(isLong)('waits for a push that is under way, and gives way to a later one', async () => {
    rig.onBuild = await dockerfileImage(rig, { Cmd: ['/hello'] })
    const folder = await folderOf('queue', { Dockerfile, hello: 'x' })
    const slow = gate()
    const made = await dockerfileImage(rig, { Cmd: ['/hello'] })
    rig.onBuild = (item) => {
      const script = made(item)
      return { ...script, until: Promise.all([script.until, slow.until]).then(() => undefined) }
    }
    const first = deploy('queue', folder)
    await rig.pushIs('queue', 'accepted')
    const second = deploy('queue', folder)
    await rig.pushIs('queue', 'received')
    writeFileSync(join(folder, 'hello'), 'third')
    const third = deploy('queue', folder)
    const superseded = await second
    expect(superseded.code).toBe(1)
    expect(superseded.stdout).toContain('Waiting for another push by operator to end')
    expect(superseded.output).toContain('a newer push or deployment by operator took the place of this one')
    expect(superseded.output).not.toContain('git fetch')
    slow.open()
    expect((await first).code).toBe(0)
    expect((await third).code).toBe(0)
    expect((await rig.releases('queue')).map(({ version }) => version)).toEqual([1, 2])
    const anew = await croft('builds:create', '-a', 'queue') // of the one that waited while the first one ended
    expect(anew.code, anew.output).toBe(0)
  })

  it.runIf(isLong)('waits its turn, as a push does, while four others of the team are being received', async () => {
    rig.onBuild = await dockerfileImage(rig, { Cmd: ['/hello'] })
    const folder = await folderOf('fifth', { Dockerfile, hello: 'x' })
    const app = await rig.clone('sixth', { Dockerfile, hello: 'x' })
    const slow = Array.from({ length: 4 }, () => {
      const tar = pack()
      tar.entry({ name: 'Dockerfile' }, Dockerfile)
      return { tar, answer: send('fifth', Readable.from(tar, { objectMode: false })) }
    })
    const isReceiving = async () => (await git(['ls', `${rig.folder}/home/git`])).output.match(/\.new$/gm)?.length === 4
    await waitFor(isReceiving, { what: 'four folders to be received', timeoutMs: 10_000 })
    const refused = await request(`${rig.cliEnv['CROFT_URL']}/api/v1/apps/fifth/folders`, {
      method: 'POST',
      headers: { authorization: `Bearer ${rig.token}`, 'content-type': 'application/x-tar' },
      body: Buffer.alloc(10_240),
    })
    expect(refused.statusCode).toBe(429)
    expect(refused.headers['retry-after']).toBe('2')
    const title = '4 other pushes of the team are being received'
    expect(await refused.body.json()).toMatchObject({ code: 'receiving-others', title })
    const waits = `-----> Waiting: ${title}\n`
    const deploying = listen(
      spawn(join(checkout, 'croft'), ['deploy', '--dockerfile', folder, '-a', 'fifth'], {
        env: { ...process.env, ...rig.cliEnv },
      }),
    )
    const pushing = listen(app.startPush('main'))
    for (const one of [deploying, pushing])
      await waitFor(() => one.said().includes(waits.trim()), { what: 'it to wait', timeoutMs: 20_000 })
    for (const { tar } of slow) tar.entry({ name: '/refused' }, 'x')
    expect(await pushing.ended, pushing.said()).toBe(0)
    expect(await deploying.ended, deploying.said()).toBe(0)
    expect(deploying.said().split(waits)).toHaveLength(2)
    for (const { answer } of slow) expect((await answer).status).toBe(422)
  })

  it.runIf(isLong)('is canceled by Ctrl-C, and goes on by itself with --detach', async () => {
    const folder = await folderOf('leaving-folder', { Dockerfile, hello: 'x' })
    const slow = gate()
    const made = await dockerfileImage(rig, { Cmd: ['/hello'] })
    rig.onBuild = (item) => {
      const script = made(item)
      return { ...script, until: Promise.all([script.until, slow.until]).then(() => undefined) }
    }
    const args = ['deploy', '--dockerfile', folder, '-a', 'leaving-folder']
    const child = spawn(join(checkout, 'croft'), args, { env: { ...process.env, ...rig.cliEnv }, stdio: 'ignore' })
    const ended = new Promise((resolve) => child.on('close', resolve))
    await rig.pushIs('leaving-folder', 'accepted')
    child.kill('SIGINT')
    expect(await ended).toBe(130)
    await rig.pushIs('leaving-folder', 'canceled')
    const left = await deploy('leaving-folder', folder, '--detach')
    expect(left.code, left.output).toBe(0)
    slow.open()
    await rig.pushIs('leaving-folder', 'committed')
    await waitFor(async () => (await rig.releases('leaving-folder')).length === 1, {
      what: 'the release',
      timeoutMs: 5_000,
    })
  })

  it.runIf(isLong)(
    'that was deployed when the controller died is finished, and one before that is refused',
    async () => {
      rig.onBuild = await dockerfileImage(rig, { Cmd: ['/hello'] })
      const folder = await folderOf('dying', { Dockerfile, hello: 'x' })
      for (const [point, state] of [
        ['push-deployed', 'committed'],
        ['build-succeeded', 'refused'],
      ] as const) {
        await rig.kill()
        await rig.boot(point)
        writeFileSync(join(folder, 'hello'), point)
        expect((await deploy('dying', folder)).code).not.toBe(0)
        await rig.dead()
        await rig.boot()
        await rig.pushIs('dying', state)
      }
      expect((await croft('builds:create', '-a', 'dying')).code).toBe(0)
    },
  )
})

describe('a folder that cannot be deployed', () => {
  const bad: [string, Record<string, string>, RegExp, RegExp][] = [
    ['has no Dockerfile', { hello: 'x' }, /there is no file Dockerfile in \S+bad-0/, /write one, or name the folder/],
    [
      'has a broken Dockerfile',
      { Dockerfile: 'FROM scratch\nRNU make\n' },
      /Dockerfile line 2: there is no instruction RNU/,
      /correct line 2/,
    ],
    [
      'has a broken .dockerignore',
      { Dockerfile, '.dockerignore': 'a\n[b\n' },
      /\.dockerignore, line 2: \[b/,
      /correct/,
    ],
    [
      'has a broken app.json',
      { Dockerfile, 'app.json': '{' },
      /app\.json, line 1: not JSON/,
      /correct app\.json, then deploy it again/,
    ],
    [
      'leaves its Dockerfile out',
      { Dockerfile, '.croftignore': 'Dockerfile\n' },
      /has no file Dockerfile, or its ignore/,
      /write one/,
    ],
  ]
  let count = 0
  it.each(bad.slice(0, isLong ? bad.length : 1))(
    'because it %s is refused with what to do, and leaves nothing behind',
    async (_what, files, cause, remedy) => {
      const app = `bad-${count++}`
      const folder = await folderOf(app, files)
      const refused = await deploy(app, folder)
      expect(refused.code).toBe(1)
      expect(refused.output).toMatch(cause)
      expect(refused.output).toMatch(remedy)
      const repository = await rig.repository(app)
      expect((await git(['git', `--git-dir=${repository}`, 'for-each-ref'])).output.replace(/^fatal.*\n/, '')).toBe('')
      expect((await git(['ls', dirname(repository)])).output).not.toContain('.new')
    },
  )

  it.runIf(isLong)('because its app is not there is refused by name, also while it is still being sent', async () => {
    const folder = await folderOf('large', { Dockerfile })
    writeFileSync(join(folder, 'large'), Buffer.alloc(64 * 1024 * 1024, 'x'))
    const refused = await deploy('nobody', folder)
    expect(refused.code).toBe(1)
    expect(refused.output).toContain('there is no app nobody')
  })

  it('because its archive is hostile is refused, also while it is still being sent, and nothing of it becomes a file', async () => {
    await rig.createApp('hostile')
    const hostile = (name: string, more: Partial<Header> & { pax?: object } = {}, after = 0) => {
      const tar = pack()
      tar.entry({ name: 'Dockerfile' }, Dockerfile)
      if ('type' in more) tar.entry({ name, ...more })
      else tar.entry({ name, ...more }, 'evil')
      if (after > 0) tar.entry({ name: 'after' }, Buffer.alloc(after))
      tar.finalize()
      return Readable.from(tar, { objectMode: false })
    }
    for (const [tar, title] of [
      [hostile('../../canary'), 'leads out'],
      [hostile('/canary', {}, 64 * 1024 * 1024), 'from the root'],
      [hostile('.git/hooks/update'), 'belongs to git'],
      [hostile('a', { type: 'link', linkname: '/etc/shadow' }), 'but a link'],
      [hostile('a', { pax: { comment: 'x'.repeat(1_000_000) } }), 'a header of it is too large'],
    ] as const) {
      expect(await send('hostile', tar)).toMatchObject({
        status: 422,
        code: 'folder',
        title: expect.stringContaining(title),
      })
    }
    expect(await rig.pushes('hostile')).toEqual([])
    expect((await git(['find', rig.folder, '-name', '*canary*'])).output).toBe('')
  })

  it.runIf(isLong)('or that is an image at the same time is a mistake at the keyboard', async () => {
    expect((await croft('deploy', '-a', 'x')).code).toBe(2)
    expect((await croft('deploy', '--image', 'a', '--dockerfile', '-a', 'x')).code).toBe(2)
    expect((await croft('deploy', '--dockerfile', '--port', '80', '-a', 'x')).code).toBe(2)
  })
})
