import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { command, Platform, webApp, type Repository } from './support/platform.js'

/** What a person sees when a push cannot be deployed: a cause, a remedy, and the former release still serving. */

const platform = Platform.at('refused')
/** An app that serves all the time. */
const NAME = 'serving'
let app: Repository

beforeAll(async () => {
  await platform.up('--no-example')
  app = await platform.repository(NAME, webApp('good'))
  expect((await app.push()).code).toBe(0)
})
afterAll(async () => {
  await platform.down()
  platform.remove()
})

describe('a push that cannot be deployed leaves the former release serving', () => {
  let head = ''
  let versions = 0
  const headOf = async (): Promise<string> =>
    (await app.git('ls-remote', 'croft', 'refs/heads/main')).stdout.slice(0, 40)
  beforeAll(async () => {
    await platform.croft('apps:set', NAME, 'boot-timeout=3')
    head = await headOf()
    versions = (await platform.releases(NAME)).length
  })

  const startsServer = JSON.stringify({
    name: 'a',
    version: '1.0.0',
    engines: { node: '24' },
    scripts: { start: 'node server.js' },
  })
  it.each([
    {
      what: 'a failing build script',
      failsIn: 'build',
      files: { 'package.json': startsServer.replace('"start"', '"build":"echo compiling; exit 7","start"') },
      says: /build/,
    },
    {
      what: 'a crash at boot, with its last 20 lines',
      failsIn: 'deployment',
      files: {
        'server.js': 'for (let n = 1; n <= 25; n += 1) console.log(`boot ${n}.`); process.exitCode = 4\n',
      },
      says: /boot 6\.[^]*boot 25\./,
      never: /boot 5\./,
    },
    {
      what: 'an app that listens on another port',
      failsIn: 'deployment',
      files: { 'server.js': "require('node:http').createServer((q, a) => a.end()).listen(9999)\n" },
      says: /9999/,
    },
    {
      what: 'an app that listens on 127.0.0.1 only',
      failsIn: 'deployment',
      files: {
        'server.js': "require('node:http').createServer((q, a) => a.end()).listen(process.env.PORT, '127.0.0.1')\n",
      },
      says: /127\.0\.0\.1/,
    },
  ])('$what', async ({ files, failsIn, says, never }) => {
    app.write({ 'package.json': startsServer, ...files })
    await app.commit('bad')
    const pushed = await app.push()
    expect(pushed.code, pushed.output).not.toBe(0)
    expect(pushed.output).toMatch(says)
    if (never !== undefined) expect(pushed.output).not.toMatch(never)
    expect(pushed.output).toMatch(/remote: +! {5}/)
    expect(pushed.output).toMatch(/[Tt]ry/)
    expect(await headOf()).toBe(head)
    expect((await platform.get(NAME)).body).toBe('good')
    if (failsIn === 'build') {
      expect((await platform.json<{ state: string }[]>('builds', '-a', NAME))[0]?.state).toBe('failed')
    } else {
      versions += 1
      expect((await platform.releases(NAME))[0]).toMatchObject({ version: versions, status: 'failed' })
    }
  })
})

describe('a push that is refused before anything is built', () => {
  it('with a wrong token is 401 with a hint', async () => {
    const app = await platform.repository('wrong-token', webApp('x'))
    const pushed = await command('git', ['push', 'croft', 'main'], {
      cwd: app.directory,
      env: { ...platform.gitEnv(), CROFT_TEST_TOKEN: 'croft_wrong' },
    })
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toMatch(/Authentication failed|401/)
    expect((await platform.json<{ name: string }[]>('apps')).map(({ name }) => name)).not.toContain('wrong-token')
  })

  it('to another branch names the command that works', async () => {
    const app = await platform.repository('branch', webApp('x'))
    await app.git('checkout', '-q', '-b', 'feature-x')
    const pushed = await app.push('feature-x')
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toContain('git push croft feature-x:main')
  })

  it('of a tag, and the deletion of main, are refused by name', async () => {
    await app.git('tag', 'v1')
    const tag = await app.push('v1')
    expect(tag.code).not.toBe(0)
    expect(tag.output).toMatch(/tag/i)
    const removed = await app.push(':main')
    expect(removed.code).not.toBe(0)
    expect(removed.output).toMatch(/delet/i)
    expect((await platform.get(NAME)).body).toBe('good')
  })

  it('without anything a buildpack knows says what was looked for', async () => {
    const app = await platform.repository('nothing', { 'notes.txt': 'hello' })
    const pushed = await app.push()
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toMatch(/package\.json/)
  })

  it('with a syntax error in the Procfile names the line', async () => {
    const app = await platform.repository('procfile', {
      ...webApp('x'),
      Procfile: 'web: node server.js\nthis is not a process\n',
    })
    const pushed = await app.push()
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toMatch(/Procfile.*line 2|line 2.*Procfile/)
  })

  it('of a tree bomb ends at once with the limit', async () => {
    const app = await platform.repository('bomb', webApp('x'))
    const blob = (
      await command('git', ['hash-object', '-w', '--stdin'], { cwd: app.directory, input: 'boom' })
    ).stdout.trim()
    let entry = `100644 blob ${blob}`
    for (let level = 0; level < 10; level += 1) {
      const lines = Array.from({ length: 10 }, (_, index) => `${entry}\tf${index}`).join('\n')
      const tree = (await command('git', ['mktree'], { cwd: app.directory, input: `${lines}\n` })).stdout.trim()
      entry = `040000 tree ${tree}`
    }
    const commit = (await app.git('commit-tree', entry.split(' ')[2] ?? '', '-m', 'bomb')).stdout.trim()
    const pushed = await app.push(`${commit}:refs/heads/main`)
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toMatch(/200[,.]?000|too many/)
  })

  it.runIf(process.env['CROFT_TEST_LONG'] === '1')('with a blob of 600 MB names the limit', async () => {
    const app = await platform.repository('huge', webApp('x'))
    await command('dd', ['if=/dev/urandom', 'of=big.bin', 'bs=1M', 'count=600'], { cwd: app.directory })
    await app.commit('huge')
    const pushed = await app.push()
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toMatch(/500 MB|limit/)
  })

  it('with hostile file names is taken or refused, and never runs anything', async () => {
    const app = await platform.repository('hostile', webApp('fine'))
    writeFileSync(join(app.directory, '$(touch pwned);`id`&&x'), 'x')
    writeFileSync(join(app.directory, '--upload-pack=x'), 'x')
    await app.git('add', '--', '.')
    await app.commit('names')
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect((await platform.get('hostile')).body).toBe('fine')
  })
})

describe('two pushes at once', () => {
  it('one wins, the other is told why', async () => {
    const first = await platform.repository('race', webApp('start'))
    expect((await first.push()).code).toBe(0)
    const second = await platform.repository('race', webApp('start'))
    await second.git('fetch', '-q', 'croft', 'main')
    await second.git('reset', '-q', '--hard', 'FETCH_HEAD')
    first.write(webApp('from first'))
    second.write(webApp('from second'))
    await Promise.all([first.commit(), second.commit()])
    const results = await Promise.all([first.push(), second.push()])
    expect(results.filter(({ code }) => code === 0)).toHaveLength(1)
    const loser = results.find(({ code }) => code !== 0)
    expect(loser?.output).toMatch(/fetch|newer|another push/i)
    const winner = results[0]?.code === 0 ? 'from first' : 'from second'
    expect((await platform.get('race')).body).toBe(winner)
  })
})
