import { mkdirSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { waitFor } from '@croft/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from './support/docker-registry.js'
import { Platform, webApp } from './support/platform.js'
import { fetchPodman, Podman } from './support/podman.js'

/** Debian's podman as a peer, both ways: it runs what Croft built, and Croft runs what it built. Long form. Tag: registry. */

const isReady = process.env['CROFT_TEST_LONG'] !== undefined && (await fetchPodman())

/** What a server on this host answers; empty while it does not. */
function ask(port: number): Promise<string> {
  return new Promise((done) => {
    const asking = get({ host: '127.0.0.1', port, agent: false, timeout: 2_000 }, (answer) => {
      let text = ''
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()))
      answer.on('end', () => done(text))
    })
    asking.on('error', () => done('')).on('timeout', () => asking.destroy())
  })
}

describe.skipIf(!isReady)('podman', () => {
  const platform = Platform.at('podman')
  let podman: Podman
  let credentials: string[]
  let at: string

  beforeAll(async () => {
    podman = new Podman()
    await platform.up('--no-example')
    credentials = ['--tls-verify=false', '--creds', `x:${platform.token}`]
    at = `localhost:${platform.httpPort}`
    const shop = await platform.repository('shop', webApp('built by Croft'))
    const pushed = await shop.push()
    expect(pushed.code, pushed.output).toBe(0)
  })
  afterAll(async () => {
    await podman?.close()
    await platform.down()
    platform.remove()
  })

  it('pulls the image of a release by its digest and runs it with our launcher, at the port it is told', async () => {
    const [release] = await platform.releases('shop')
    const pulled = await podman.run('pull', '--quiet', ...credentials, `${at}/shop:v1`)
    expect(pulled.code, pulled.output).toBe(0)
    const inspected = await podman.run(
      'image',
      'inspect',
      '--format',
      '{{.Digest}} {{.Config.Entrypoint}}',
      `${at}/shop:v1`,
    )
    expect(inspected.stdout.trim()).toBe(`${release?.image} [/cnb/process/web]`)
    const port = await freePort()
    const started = await podman.start('shop', '--env', `PORT=${port}`, `${at}/shop:v1`)
    expect(started.code, started.output).toBe(0)
    const page = await waitFor(async () => (await ask(port)) || undefined, {
      what: 'the app under podman',
      timeoutMs: 20_000,
    })
    expect(page).toBe('built by Croft')
    expect((await podman.run('logs', 'shop')).output).toContain('started with built by Croft')
    const command = await podman.start(
      'command',
      '--entrypoint',
      '/cnb/lifecycle/launcher',
      `${at}/shop:v1`,
      'node',
      '--version',
    )
    expect(command.code, command.output).toBe(0)
    await podman.run('wait', 'command')
    expect((await podman.run('logs', 'command')).output).toMatch(/^v24\./)
  })

  it('builds on it and pushes what it made, which is deployed and answers', async () => {
    const context = join(podman.home, 'context')
    mkdirSync(context)
    const { 'server.js': server = '' } = webApp('built by podman')
    writeFileSync(join(context, 'server.js'), server)
    writeFileSync(join(context, 'Dockerfile'), `FROM ${at}/shop:v1\nCOPY server.js /workspace/server.js\n`)
    const built = await podman.run('build', '--quiet', '--isolation', 'chroot', '--tag', `${at}/other:latest`, context)
    expect(built.code, built.output).toBe(0)
    expect((await platform.croft('apps:create', 'other')).code).toBe(0)
    expect((await platform.croft('apps:set', 'other', 'deploy-on-push=true')).code).toBe(0)
    const pushed = await podman.run('push', '--quiet', ...credentials, `${at}/other:latest`)
    expect(pushed.code, pushed.output).toBe(0)
    await waitFor(async () => (await platform.get('other')).body === 'built by podman', {
      what: 'what podman pushed to serve',
      timeoutMs: 60_000,
    })
    const again = await platform.croft('deploy', '--image', `${at}/other:latest`, '-a', 'shop')
    expect(again.code, again.output).toBe(0)
    expect((await platform.get('shop')).body).toBe('built by podman')
  })

  it('logs in and lists the tags, and is let in by nobody else’s token', async () => {
    const login = await podman.run('login', '--tls-verify=false', '-u', 'x', '-p', platform.token, at)
    expect(login.code, login.output).toBe(0)
    const listed = await podman.run('search', '--list-tags', '--tls-verify=false', `${at}/shop`)
    expect(listed.code, listed.output).toBe(0)
    const tags = [...listed.stdout.matchAll(/\/shop +(\S+)/g)].map(([, tag]) => tag)
    expect(tags.toSorted()).toEqual(['latest', 'v1', 'v2'])
    const refused = await podman.run(
      'pull',
      '--quiet',
      '--tls-verify=false',
      '--creds',
      'x:croft_wrong',
      `${at}/shop:v2`,
    )
    expect(refused.code).not.toBe(0)
    expect(refused.output).toMatch(/unauthorized|authentication required|invalid username/i)
  })
})
