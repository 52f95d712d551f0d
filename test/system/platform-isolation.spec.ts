import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Platform } from './support/platform.js'

/** What an app can see and reach of its host: asked from inside a pushed app. */

const platform = Platform.at('isolation')

/** Answers questions of a test with what it sees: `/ids`, `/processes`, `/connect?host=…&port=…`, `/fork`. */
const probe = `
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
const dial = (target) => new Promise((done) => {
  const socket = connect({ ...target, timeout: 1500 })
  socket.on('connect', () => done('connected')).on('timeout', () => done('timeout')).on('error', (error) => done(error.code))
}).then((result) => result)
createServer(async (request, response) => {
  const url = new URL(request.url, 'http://x')
  const answer = async () => {
    if (url.pathname === '/ids') return { uid: process.getuid(), map: readFileSync('/proc/self/uid_map', 'utf8').trim(), status: readFileSync('/proc/self/status', 'utf8') }
    if (url.pathname === '/processes') return readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map((pid) => { try { return readFileSync('/proc/' + pid + '/cmdline', 'utf8').replaceAll('\\0', ' ') } catch { return '' } })
    if (url.pathname === '/connect') return dial({ host: url.searchParams.get('host'), port: Number(url.searchParams.get('port')) })
    if (url.pathname === '/stat') { try { return statSync(url.searchParams.get('path')).isSocket() ? 'socket' : 'there' } catch (error) { return error.code } }
    if (url.pathname === '/fork') {
      const children = []
      let refused = 0
      for (let n = 0; n < 1000; n += 1) { try { const child = spawn('sleep', ['20']); child.on('error', () => { refused += 1 }); children.push(child) } catch { refused += 1 } }
      await new Promise((done) => setTimeout(done, 500))
      for (const child of children) child.kill('SIGKILL')
      return { refused }
    }
    return 'probe'
  }
  response.end(JSON.stringify(await answer().catch((error) => String(error))))
}).listen(process.env.PORT)
`

beforeAll(async () => {
  await platform.up('--no-example')
  const push = async (name: string): Promise<void> => {
    const app = await platform.repository(name, {
      'package.json': JSON.stringify({
        name: 'probe',
        version: '1.0.0',
        type: 'module',
        engines: { node: '24' },
        scripts: { start: 'node server.js' },
      }),
      'server.js': probe,
    })
    const pushed = await app.push()
    if (pushed.code !== 0) throw new Error(pushed.output)
  }
  await Promise.all(['probe', 'neighbour'].map(push))
})
afterAll(async () => {
  await platform.down()
  platform.remove()
})

const ask = async <T>(path: string): Promise<T> =>
  JSON.parse((await platform.get('probe', path, { timeoutMs: 30_000 })).body) as T

describe('an app in its sandbox', () => {
  it('is not root, neither inside nor on the host', async () => {
    const { uid, map, status } = await ask<{ uid: number; map: string; status: string }>('/ids')
    expect(uid).not.toBe(0)
    const [inside, outside] = map.split('\n')[0]?.trim().split(/\s+/).map(Number) ?? []
    expect(inside).toBe(0)
    expect(outside).toBeGreaterThanOrEqual(100_000)
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m)
    expect(status).toMatch(/^Seccomp:\s+2$/m)
    expect(status).toMatch(/^CapEff:\s+0+$/m)
  })

  it('sees its own processes only', async () => {
    const processes = await ask<string[]>('/processes')
    expect(processes.length).toBeLessThan(8)
    expect(processes.join('\n')).not.toMatch(/postgres|redis|haproxy|vitest|executor/)
  })

  it('reaches no port of the platform or of the host, and no neighbour', async () => {
    const [own] = await platform.ps('probe')
    const [neighbour] = await platform.ps('neighbour')
    const gateway = (own?.address ?? '').replace(/\.\d+:.*/, '.1')
    const targets = [
      { host: gateway, port: platform.httpPort },
      { host: gateway, port: 22 },
      { host: '127.0.0.1', port: platform.httpPort },
      { host: neighbour?.address?.split(':')[0] ?? '', port: 8080 },
      { host: '169.254.169.254', port: 80 },
    ]
    const answers = await Promise.all(
      targets.map(({ host, port }) => ask<string>(`/connect?host=${host}&port=${port}`)),
    )
    expect(answers, JSON.stringify(targets)).not.toContain('connected')
  })

  it('finds no socket of the platform in its file system', async () => {
    expect(await ask<string>('/stat?path=/run/croft')).toBe('ENOENT')
    expect(await ask<string>(`/stat?path=${platform.home}`)).toBe('ENOENT')
  })

  it('cannot fork without end, and its neighbour does not notice', async () => {
    const { refused } = await ask<{ refused: number }>('/fork')
    expect(refused).toBeGreaterThan(0)
    expect((await platform.get('neighbour')).status).toBe(200)
  })
})
