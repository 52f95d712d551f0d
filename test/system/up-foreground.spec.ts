import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from '@croft/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkout, Platform, webApp } from './support/platform.js'

/** `croft up` in the foreground: its logs, its end, and what goes on after it. */

const platform = Platform.at('foreground')
let shown = ''
let foreground: ChildProcess

async function upInForeground(...args: string[]): Promise<void> {
  shown = ''
  foreground = spawn(join(checkout, 'croft'), ['up', ...platform.portOptions, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [foreground.stdout, foreground.stderr])
    stream?.on('data', (chunk: Buffer) => (shown += chunk.toString()))
  await waitFor(() => shown.includes('Ctrl-C stops the platform') || foreground.exitCode !== null, {
    what: 'the platform to be ready',
    timeoutMs: 180_000,
  })
  expect(foreground.exitCode, shown).toBeNull()
}

async function interrupt(): Promise<void> {
  const ended = new Promise((resolve) => foreground.once('exit', resolve))
  foreground.kill('SIGINT')
  expect(await ended, shown).toBe(0)
}

beforeAll(() => upInForeground(), 240_000)
afterAll(async () => {
  foreground.kill('SIGKILL')
  await platform.down()
  platform.remove()
})

describe('croft up in the foreground', () => {
  it('prints where the example and the platform are, and then the logs behind the names of their components', async () => {
    expect(shown).toContain(`http://node-hello.localhost:${platform.httpPort}`)
    expect(shown).toContain(`http://croft.localhost:${platform.httpPort}`)
    await platform.repository('shop', webApp('shop')).then((app) => app.push())
    await waitFor(() => /^(controller|executor) +\| /m.test(shown), { what: 'a line of a log', timeoutMs: 10_000 })
  }, 120_000)

  it('ends on Ctrl-C: the platform stops, the example with it, other apps serve on, and it says so', async () => {
    await platform.serves('shop', 'shop')
    await interrupt()
    expect(shown).toMatch(/=====> shop goes on serving/)
    expect((await platform.get('shop')).status).toBe(200)
    // the router holds requests for an app without an instance, so the containers are looked at: shop's is the only one
    await waitFor(() => readdirSync(join(platform.home, 'node/containers')).length === 1, {
      what: 'the files of the example to go',
      timeoutMs: 10_000,
    })
    const status = await platform.status()
    expect(status.ready).toBe(false)
    expect(status.components.filter(({ state }) => state === 'running').map(({ name }) => name)).toEqual(['haproxy'])
  }, 60_000)

  it('takes over again what went on serving', async () => {
    const before = (await platform.get('shop', '/pid')).body
    await upInForeground()
    await platform.serves('node-hello', 'Hello')
    expect((await platform.get('shop', '/pid')).body).toBe(before)
  }, 120_000)

  it('leaves nothing running when there is only the example', async () => {
    const destroyed = await platform.croft('apps:destroy', 'shop', '--confirm', 'shop')
    expect(destroyed.code, destroyed.output).toBe(0)
    await interrupt()
    expect((await platform.status()).components.every(({ state }) => state === 'stopped')).toBe(true)
    await expect(platform.get('node-hello')).rejects.toThrow('ECONNREFUSED')
  }, 60_000)
})
