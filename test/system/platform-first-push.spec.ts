import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, globSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdDecompressSync } from 'node:zlib'
import { waitFor } from '@croft/kit'
import { digestOf, generatedLayerTar } from '@croft/oci'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { followPage } from './support/page.js'
import { checkout, command, Platform, webApp, type PsRow, type Repository } from './support/platform.js'

/** The main line of the product, as a person goes through it. */

const isLong = process.env['CROFT_TEST_LONG'] !== undefined
const platform = Platform.at('push')

beforeAll(async () => {
  await platform.up('--no-example')
})
afterAll(async () => {
  await platform.down()
  platform.remove()
})

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
interface OciManifest {
  config: { digest: string }
  layers: { digest: string }[]
}
interface OciConfig {
  config: { Env: string[] }
  rootfs: { diff_ids: string[] }
}

/** The arguments of every process of this host. */
function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return '' // it is gone
      }
    })
}

const isZstd = (path: string): boolean => readFileSync(path).subarray(0, 4).toString('hex') === '28b52ffd'

/** Direct children of a process: HAProxy's worker is one. */
function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((child) => child !== '')
}

describe('up', () => {
  it('reports every component as running and itself as ready', async () => {
    const status = await platform.status()
    expect(status.ready).toBe(true)
    expect(status.home).toBe(platform.home)
    expect(status.addresses.http).toBe(`http://localhost:${platform.httpPort}`)
    expect(status.components.map(({ name, state }) => `${name} ${state}`).sort()).toEqual([
      'controller running',
      'executor running',
      'haproxy running',
      'postgres running',
      'redis running',
      'router running',
    ])
    expect(status.components.every(({ pid, rssBytes }) => pid !== null && (rssBytes ?? 0) > 0)).toBe(true)
  })

  it('runs only the executor as root, every other component as a user of its own', async () => {
    const status = await platform.status()
    const uids = Object.fromEntries(status.components.map(({ name, pid }) => [name, statSync(`/proc/${pid}`).uid]))
    expect(uids['executor']).toBe(0)
    const others = ['controller', 'router', 'haproxy', 'postgres', 'redis'].map((name) => uids[name])
    expect(others).not.toContain(0)
    expect(new Set(others).size).toBe(others.length)
  })

  it('keeps the operator token readable by root alone', () => {
    expect(statSync(join(platform.home, 'operator-token')).mode & 0o777).toBe(0o600)
  })

  it("listens on nothing but the router's port on loopback", async () => {
    const status = await platform.status()
    const pids = status.components.flatMap(({ pid }) => [pid, ...childrenOf(pid ?? 0)]).map((pid) => `pid=${pid},`)
    const { stdout } = await command('ss', ['-Hltnp'])
    const ours = stdout.split('\n').filter((line) => pids.some((pid) => line.includes(pid)))
    expect(ours.length).toBeGreaterThan(0)
    expect(
      ours.every(
        (line) => line.includes(`127.0.0.1:${platform.httpPort}`) || line.includes(`[::1]:${platform.httpPort}`),
      ),
    ).toBe(true)
  })

  it('says so when the same home is already up', async () => {
    const again = await command('./croft', ['up', '--detach', '--no-example', ...platform.portOptions])
    expect(again.output).toMatch(/already (runs|running|up)/i)
  })

  it('answers an unknown host with 404, its code and a remedy', async () => {
    const answer = await platform.get('nobody-here')
    expect(answer.status).toBe(404)
    expect(answer.headers['x-croft-error']).toBeTruthy()
  })

  it('is green in doctor', async () => {
    const doctor = await platform.croft('doctor')
    expect(doctor.code, doctor.output).toBe(0)
  })
})

describe('a first push', () => {
  it('creates the app, builds it, and answers on the printed URL', async () => {
    const shop = await platform.repository('shop', webApp('one'))
    const pushed = await shop.push()
    expect(pushed.code, pushed.output).toBe(0)
    const lines = pushed.output
      .split('\n')
      .filter((line) => line.startsWith('remote: '))
      .map((line) => line.slice(8).trimEnd())
    expect(lines.join('\n')).toMatch(/^-----> Node\.js app detected/m)
    expect(lines.join('\n')).toMatch(/^-----> Releasing v1/m)
    expect(lines.join('\n')).toMatch(/^-----> Starting web\.1 \.\.\. healthy +\d+\.\d s$/m)
    expect(lines.at(-1) === '' ? lines.at(-2) : lines.at(-1)).toMatch(
      new RegExp(`^=====> Application deployed: v1 in \\d+\\.\\d s  http://shop\\.localhost:${platform.httpPort}$`),
    )
    expect(lines.every((line) => /^[\x20-\x7e]*$/.test(line))).toBe(true)
    expect((await platform.get('shop')).body).toBe('one')
  })

  it('gives the process its environment and nothing of ours', async () => {
    const env = JSON.parse((await platform.get('shop', '/env')).body) as Record<string, string>
    expect(env).toMatchObject({ PORT: '8080', CROFT_APP: 'shop', CROFT_INSTANCE: 'web.1', CROFT_RELEASE: 'v1' })
    expect(Object.keys(env).filter((name) => /DATABASE|REDIS|TOKEN|CROFT_(HOME|RUN|K)$/.test(name))).toEqual([])
  })

  it('shows the instance, the release and the build', async () => {
    const [web] = await platform.ps('shop')
    expect(web).toMatchObject({
      instance: 'web.1',
      type: 'web',
      state: 'running',
      release: 1,
      restarts: 0,
      memoryLimitBytes: 512 * 2 ** 20,
    } satisfies Partial<PsRow>)
    expect(web?.address).toMatch(/^10\.\d+\.\d+\.\d+:8080$/)
    const releases = await platform.releases('shop')
    expect(releases.map(({ version, status }) => `${version} ${status}`)).toEqual(['1 succeeded'])
    expect(releases[0]?.image).toMatch(/^sha256:[0-9a-f]{64}$/)
    const builds = await platform.json<{ id: string; state: string }[]>('builds', '-a', 'shop')
    expect(builds.map(({ state }) => state)).toEqual(['succeeded'])
    const info = await platform.croft('builds:info', builds[0]?.id ?? '', '-a', 'shop')
    expect(info.output).toContain('Node.js app detected')
  })

  it('gives back what was pushed to whoever clones it', async () => {
    const cloned = await platform.repository('clone-of-shop', { 'README.md': 'x' })
    const result = await cloned.git('clone', '-q', platform.gitUrl('shop'), 'shop')
    expect(result.code, result.output).toBe(0)
    expect(readFileSync(join(cloned.directory, 'shop/server.js'), 'utf8')).toBe(webApp('one')['server.js'])
  })

  it('keeps what the app prints, from all its instances', async () => {
    await platform.get('shop', '/say/hello-log')
    await waitFor(
      async () =>
        (await platform.croft('logs', '-a', 'shop', '--num', '50')).output.includes('/say/hello-log'.slice(5)),
      { what: 'the log line', timeoutMs: 5_000 },
    )
  })
})

describe('a further push', () => {
  let app: Repository
  const containers = join(platform.home, 'node/containers')
  /** Containers that were made in advance. */
  const spares = (): string[] => readdirSync(containers).filter((name) => name.startsWith('spare-'))
  const oneSpare = async (but?: string): Promise<string> =>
    await waitFor(() => (spares().length === 1 && spares()[0] !== but ? spares()[0] : undefined), {
      what: 'a container for the next build',
      timeoutMs: 15_000,
    })
  /** Whether something has been started in a container. */
  const hasRun = (handle: string): boolean => {
    const folder = join(containers, handle, 'proc')
    return existsSync(folder) && readdirSync(folder).length > 0
  }

  it('of one changed line is live, and leaves no old instance behind', async () => {
    app = await platform.repository('further', webApp('one'))
    expect((await app.push()).code).toBe(0)
    const spare = await oneSpare()
    expect(hasRun(spare)).toBe(false)
    const deployed = app.deploy(webApp('two'))
    const built = waitFor(() => hasRun(spare), { what: 'the build to use it', timeoutMs: 15_000, everyMs: 5 })
    const [output] = await Promise.all([deployed, built])
    expect(output).toMatch(/Application deployed: v2/)
    await oneSpare(spare)
    expect((await platform.get('further')).body).toBe('two')
    await waitFor(async () => (await platform.ps('further')).length === 1, {
      what: 'the old instance to go',
      timeoutMs: 15_000,
    })
  })

  it('of an identical tree reuses the image without a build step', async () => {
    await app.commit('only a message')
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.output).not.toMatch(/Exporting image/)
    const [newest, former] = await platform.releases('further')
    expect(newest?.image).toBe(former?.image)
    expect(newest?.version).toBe(3)
  })

  it.runIf(isLong)('after the executor was killed finds nothing of what was made for it', async () => {
    const spare = await oneSpare()
    const executor = await platform.pidOf('executor')
    process.kill(executor, 'SIGKILL')
    const left = (): string[] => {
      const { assigned } = JSON.parse(readFileSync(join(platform.home, 'node/addresses.json'), 'utf8')) as {
        assigned: Record<string, string>
      }
      const folders = ['containers', 'builds'].flatMap((name) => readdirSync(join(platform.home, 'node', name)))
      return [...folders, ...Object.keys(assigned)].filter((name) => name.startsWith('spare-'))
    }
    expect(left()).toEqual([spare, spare, spare])
    await waitFor(() => left().length === 0, { what: 'nothing of it to be left', timeoutMs: 120_000 })
    expect(await app.deploy(webApp('two again'))).toMatch(/Application deployed/)
  })

  it('says that the release command of its Procfile is not run', async () => {
    const output = await app.deploy({ Procfile: 'release: exit 1\nweb: node server.js\n' })
    expect(output).toContain('the release command of the Procfile is not run')
    await waitFor(async () => (await platform.ps('further')).map(({ type }) => type).join() === 'web', {
      what: 'one web process and no other',
      timeoutMs: 15_000,
    })
  })

  it.runIf(isLong)('runs npm for a lock file once, and says that dependencies are unchanged after that', async () => {
    const files: Record<string, string> = {}
    for (const name of ['package.json', 'package-lock.json', 'server.js']) {
      const path = join(checkout, 'examples/node-express', name)
      if (existsSync(path)) files[name] = readFileSync(path, 'utf8')
    }
    const app = await platform.repository('express', files)
    const first = await app.push()
    expect(first.code, first.output).toBe(0)
    expect(first.output).toMatch(/npm ci: \d+ packages/)
    const second = await app.deploy({ 'server.js': `${files['server.js']}\n// changed\n` })
    expect(second).toContain('dependencies unchanged')
    expect(second).not.toMatch(/npm ci: /)
    expect((await platform.get('express')).status).toBe(200)
  })
})

describe('images', () => {
  /** One request to the registry, as a container tool sends it. */
  const registry = async (method: string, path: string, body?: Buffer, type = 'application/octet-stream') => {
    const answer = await fetch(`http://localhost:${platform.httpPort}${path}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from(`x:${platform.token}`).toString('base64')}`,
        'content-type': type,
        accept: OCI_MANIFEST,
      },
      ...(body !== undefined && { body: new Uint8Array(body) }),
    })
    expect(answer.ok, `${method} ${path}: ${answer.status}`).toBe(true)
    return Buffer.from(await answer.arrayBuffer())
  }

  it('of an app run in another one, and an older release comes back without a build', async () => {
    const app = await platform.repository('origin', webApp('one'))
    expect((await app.push()).code).toBe(0)
    expect((await platform.croft('apps:create', 'copy')).code).toBe(0)
    const image = `localhost:${platform.httpPort}/origin:v1`
    const deployed = await platform.croft('deploy', '--image', image, '-a', 'copy')
    expect(deployed.code, deployed.output).toBe(0)
    expect((await platform.serves('copy', 'one')).status).toBe(200)
    await app.deploy(webApp('two'))
    const back = await platform.croft('rollback', 'v1', '-a', 'origin')
    expect(back.code, back.output).toBe(0)
    await platform.serves('origin', 'one')
    const [newest, , first] = await platform.releases('origin')
    expect(newest).toMatchObject({ version: 3, image: first?.image, description: 'Rollback to v1' })
    expect((await platform.croft('releases:info', 'v3', '-a', 'origin')).output).toContain(
      'process   web: node server.js',
    )
  })

  it.runIf(isLong)(
    'pushed by others are deployed: whiteouts obeyed, root mapped, the exposed port served',
    async () => {
      const manifest = JSON.parse((await registry('GET', '/v2/origin/manifests/v1')).toString()) as OciManifest
      const config = JSON.parse(
        (await registry('GET', `/v2/origin/blobs/${manifest.config.digest}`)).toString(),
      ) as OciConfig
      const server = `import { createServer } from 'node:http'
import { existsSync } from 'node:fs'
const seen = { uid: process.getuid(), old: existsSync('/workspace/server.js'), made: existsSync('/srv/server.mjs') }
createServer((request, response) => response.end('foreign ' + JSON.stringify(seen))).listen(3000)
`
      const tar = await generatedLayerTar([
        { kind: 'file', path: '/srv/server.mjs', content: server },
        { kind: 'file', path: '/workspace/.wh.server.js', content: '' },
      ])
      const send = async (bytes: Buffer) => {
        await registry('POST', `/v2/copy/blobs/uploads/?digest=${digestOf(bytes)}`, bytes)
        return { digest: digestOf(bytes), size: bytes.length }
      }
      for (const { digest } of manifest.layers) {
        await registry('POST', `/v2/copy/blobs/uploads/?mount=${digest}&from=origin`)
      }
      const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...(await send(gzipSync(tar))) }
      const own = {
        ...config,
        config: {
          Env: config.config.Env,
          User: '0',
          Entrypoint: ['/cnb/lifecycle/launcher', '--', 'node', '/srv/server.mjs'],
          ExposedPorts: { '3000/tcp': {} },
        },
        rootfs: { type: 'layers', diff_ids: [...config.rootfs.diff_ids, digestOf(tar)] },
      }
      const described = { ...manifest.config, ...(await send(Buffer.from(JSON.stringify(own)))) }
      const pushed = { ...manifest, config: described, layers: [...manifest.layers, layer] }
      expect((await platform.croft('apps:set', 'copy', 'deploy-on-push=true')).code).toBe(0)
      await registry('PUT', '/v2/copy/manifests/latest', Buffer.from(JSON.stringify(pushed)), OCI_MANIFEST)
      const answer = await platform.serves('copy', 'foreign', 30_000)
      expect(JSON.parse(answer.body.replace('foreign ', ''))).toEqual({ uid: 0, old: false, made: true })
    },
  )
})

describe('verbs', () => {
  it.runIf(isLong)(
    'rebase --all goes through the apps that run, leaves those alone that need nothing, and says which it cannot help',
    async () => {
      const all = await platform.croft('rebase', '--all')
      expect(all.code, all.output).toBe(1)
      expect(all.output).toContain('copy was not rebased: the image stands on no stack of this platform')
      for (const app of ['shop', 'origin']) {
        expect(all.output).toContain(`${app} stands on the present base image already.`)
      }
      expect((await platform.releases('shop')).length).toBe(1)
    },
  )

  it('git:remote sets up a folder whose pushes need no password and keep no token', async () => {
    const app = await platform.repository('remembered', webApp('one'))
    const inFolder = { cwd: app.directory, timeoutMs: 120_000 }
    await app.git('remote', 'remove', 'croft')
    const croft = join(checkout, 'croft')
    const set = await command(croft, ['git:remote', 'remembered', '--home', platform.home], inFolder)
    expect(set.code, set.output).toBe(0)
    const pushed = await command('git', ['push', 'croft', 'main'], inFolder)
    expect(pushed.code, pushed.output).toBe(0)
    expect((await platform.get('remembered')).body).toBe('one')
    expect(readFileSync(join(app.directory, '.git/config'), 'utf8')).not.toContain(platform.token)
  })

  it('logs --tail shows lines as they come', async () => {
    const over = new AbortController()
    const args = ['logs', '--tail', '--num', '5', '-a', 'remembered', '--home', platform.home]
    const tail = spawn(join(checkout, 'croft'), args, { stdio: ['ignore', 'pipe', 'inherit'], signal: over.signal })
    tail.once('error', () => undefined) // it is aborted below
    let shown = ''
    tail.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()))
    try {
      await waitFor(() => shown.includes('started with one'), { what: 'what was there', timeoutMs: 10_000 })
      await platform.get('remembered', '/say/just-now')
      await waitFor(() => /web\.1 just-now$/m.test(shown), { what: 'the new line', timeoutMs: 10_000 })
    } finally {
      over.abort()
    }
  })

  it('config:set makes a release without a build, and the app sees the value', async () => {
    const set = await platform.croft('config:set', 'GREETING=hello world', '-a', 'remembered')
    expect(set.code, set.output).toBe(0)
    await waitFor(
      async () =>
        (JSON.parse((await platform.get('remembered', '/env')).body) as Record<string, string>)['GREETING'] ===
        'hello world',
      { what: 'the new value', timeoutMs: 15_000 },
    )
    expect((await platform.releases('remembered')).map(({ version }) => version)).toEqual([2, 1])
    expect((await platform.croft('config', '-a', 'remembered')).output).not.toContain('hello world')
  })

  it('config:set --build gives a build its secret, and nothing keeps it', async () => {
    const canary = `canary-${randomBytes(12).toString('hex')}`
    expect((await platform.croft('apps:create', 'sealed')).code).toBe(0)
    const set = await platform.croft('config:set', '--build', `TOKEN=${canary}`, '-a', 'sealed')
    expect(set.code, set.output).toBe(0)
    const script = "if (!process.env.TOKEN.startsWith('canary-')) process.exit(7); setTimeout(() => {}, 1000)"
    const app = await platform.repository('sealed', {
      ...webApp('sealed'),
      'package.json': JSON.stringify({
        name: 'sealed',
        version: '1.0.0',
        type: 'module',
        engines: { node: '24' },
        scripts: { build: `node -e "${script}"`, start: 'node server.js' },
      }),
    })
    let isOver = false
    const pushing = app.push().finally(() => (isOver = true))
    const seen: string[] = []
    await waitFor(
      () => {
        seen.push(...commandLines().filter((line) => line.includes(canary)))
        return isOver
      },
      { what: 'the push', timeoutMs: 60_000, everyMs: 50 },
    )
    const pushed = await pushing
    expect(pushed.code, pushed.output).toBe(0)
    expect(seen).toEqual([])
    expect((await platform.get('sealed', '/env')).body).not.toContain(canary)
    // the database, Redis, repositories, logs, caches, unpacked layers; then what is compressed
    const found = await command('grep', ['-rlsF', '-D', 'skip', '--exclude-dir=program', canary, platform.home])
    expect(found.stdout).toBe('')
    const blobs = globSync(join(platform.home, '{,*/}registry/blobs/sha256/*')).filter((path) => isZstd(path))
    expect(blobs.length).toBeGreaterThan(0)
    for (const path of blobs) expect(zstdDecompressSync(readFileSync(path)).includes(canary), path).toBe(false)
  })

  it('ps:scale runs as many instances as asked, and the router uses all of them', async () => {
    expect((await platform.croft('ps:scale', 'web=3', '-a', 'remembered')).code).toBe(0)
    await waitFor(
      async () => (await platform.ps('remembered')).filter(({ state }) => state === 'running').length === 3,
      {
        what: 'three running instances',
        timeoutMs: 20_000,
      },
    )
    await waitFor(
      async () => {
        const answers = await Promise.all(
          Array.from({ length: 12 }, async () => (await platform.get('remembered', '/pid')).body),
        )
        return new Set(answers).size === 3
      },
      { what: 'answers from three instances', timeoutMs: 10_000 },
    )
    expect((await platform.croft('ps:scale', 'web=0', '-a', 'remembered')).code).toBe(0)
    await waitFor(async () => (await platform.get('remembered')).status === 503, {
      what: 'nobody to answer',
      timeoutMs: 20_000,
    })
    expect((await platform.get('remembered')).headers['x-croft-error']).toBe('H14')
  })

  it('apps:destroy asks for the name, and takes everything along', async () => {
    expect((await platform.croft('apps:destroy', 'remembered')).code).not.toBe(0)
    expect((await platform.croft('apps:destroy', 'remembered', '--confirm', 'remembered')).code).toBe(0)
    await waitFor(async () => (await platform.get('remembered')).status === 404, {
      what: 'the app to be unknown',
      timeoutMs: 10_000,
    })
    expect((await platform.croft('apps', '--json')).output).not.toContain('"remembered"')
  })
})

describe('a page for beginners', () => {
  const pages = ['first-node.md']
  // each of these languages is built in the short form too, by a spec of its own
  const more = [
    'first-static.md',
    'first-php.md',
    'first-python.md',
    'first-ruby.md',
    'first-rails.md',
    'first-django.md',
    'first-dockerfile.md',
  ]

  it.each([...pages, ...(isLong ? more : [])])(
    'docs/%s, followed literally, does what it says',
    async (page) => {
      await followPage(page, platform)
    },
    300_000,
  )
})
