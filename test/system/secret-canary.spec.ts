import { randomBytes } from 'node:crypto'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { waitFor } from '@croft/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeBuildah } from './support/build-needs.js'
import { command, Platform, webApp } from './support/platform.js'

/**
 * Secrets that were given to builds and to pulls, and everywhere they must not be: the platform as it is left, byte for byte. The short form
 * of this is the secret of a buildpack build in platform-first-push.spec.ts.
 */
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
const CACHE = process.env['CROFT_CACHE'] ?? '/var/cache/croft'
const platform = Platform.at('canary')

/** Prints every row of every table, as `croft`, whom PostgreSQL lets in. */
const DUMP = `
const pg = require('pg'), client = new pg.Client({ connectionString: process.argv[1] })
client.connect().then(async () => {
  const { rows } = await client.query("SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
  for (const { name } of rows) {
    const { rows: lines } = await client.query('SELECT row_to_json(t)::text AS line FROM ' + name + ' t')
    for (const { line } of lines) console.log(name, line)
  }
  await client.end()
})`

/** The arguments of every process of this host. */
function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
      } catch {
        return '' // it is gone
      }
    })
}

describe.runIf(isLong)('a secret', () => {
  const given: string[] = []
  const canary = (): string => {
    const one = `canary-${randomBytes(16).toString('hex')}`
    given.push(one)
    return one
  }
  let startedAt: Date
  let door: Server | undefined
  beforeAll(async () => {
    startedAt = new Date()
    expect(await makeBuildah()).toBeNull()
    await platform.up('--no-example')
  })
  afterAll(async () => {
    door?.close()
    await platform.down()
    platform.remove()
  })

  /** Does something, and sees no secret among the arguments of any process meanwhile. */
  async function unseen<T>(work: Promise<T>): Promise<T> {
    let isOver = false
    const ended = work.finally(() => (isOver = true))
    const seen: string[] = []
    await waitFor(
      () => {
        seen.push(...commandLines().filter((line) => given.some((one) => line.includes(one))))
        return isOver
      },
      { what: 'what is watched to end', timeoutMs: 120_000, everyMs: 20 },
    )
    expect(seen).toEqual([])
    return ended
  }

  async function sealed(app: string, files: Record<string, string>): Promise<string> {
    expect((await platform.croft('apps:create', app)).code).toBe(0)
    const set = await platform.croft('config:set', '--build', `TOKEN=${canary()}`, '-a', app)
    expect(set.code, set.output).toBe(0)
    const repository = await platform.repository(app, files)
    const pushed = await unseen(repository.push())
    expect(pushed.code, pushed.output).toBe(0)
    return pushed.output
  }

  /** A registry that wants the secret as its password, and has what the platform's own has. */
  async function guarded(password: string): Promise<string> {
    const wanted = `Basic ${Buffer.from(`puller:${password}`).toString('base64')}`
    const own = `Basic ${Buffer.from(`x:${platform.token}`).toString('base64')}`
    door = createServer((request, response) => {
      if (request.headers.authorization !== wanted) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="guarded"' }).end()
        return
      }
      const { accept = '*/*' } = request.headers
      fetch(`http://localhost:${platform.httpPort}${request.url}`, { headers: { authorization: own, accept } })
        .then(async (answer) => {
          const type = answer.headers.get('content-type') ?? 'application/octet-stream'
          const digest = answer.headers.get('docker-content-digest')
          response.writeHead(answer.status, {
            'content-type': type,
            ...(digest !== null && { 'docker-content-digest': digest }),
          })
          response.end(Buffer.from(await answer.arrayBuffer()))
        })
        .catch(() => response.writeHead(502).end())
    })
    await new Promise<void>((done) => door?.listen(0, 'localhost', done))
    return `localhost:${(door.address() as AddressInfo).port}`
  }

  it('of a build with buildpacks, of a Dockerfile and of a registry does its work, and no process shows it', async () => {
    const script = "if (!process.env.TOKEN.startsWith('canary-')) process.exit(7); setTimeout(() => {}, 1000)"
    await sealed('buildpacks', {
      ...webApp('buildpacks'),
      'package.json': JSON.stringify({
        name: 'buildpacks',
        version: '1.0.0',
        type: 'module',
        engines: { node: '24' },
        scripts: { build: `node -e "${script}"`, start: 'node server.js' },
      }),
    })
    const said = await sealed('dockerfile', {
      'index.html': 'it works\n',
      Dockerfile: `FROM croft/debian-12
RUN --mount=type=secret,id=TOKEN grep -c ^canary- /run/secrets/TOKEN && sleep 1
COPY index.html /index.html
CMD ["perl", "-MIO::Socket::INET", "-e", "$s = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 9, ReuseAddr => 1); while ($c = $s->accept) { <$c>; print $c qq(HTTP/1.0 200 OK\\\\r\\\\n\\\\r\\\\nit works\\\\n); close $c }"]
`,
    })
    expect(said).toContain('Building the Dockerfile')
    const password = canary()
    const host = await guarded(password)
    const login = await command('./croft', ['registry:login', host, '--username', 'puller', '--home', platform.home], {
      input: password,
    })
    expect(login.code, login.output).toBe(0)
    expect((await platform.croft('apps:create', 'pulled')).code).toBe(0)
    const image = `${host}/buildpacks:v1`
    const pulled = await unseen(platform.croft('deploy', '--image', image, '-a', 'pulled'))
    expect(pulled.code, pulled.output).toBe(0)
    expect((await platform.get('pulled')).status).toBe(200)
  })

  it('is in no file of the home, of its run folder, or that the shared cache got meanwhile', async () => {
    expect(given).toHaveLength(3)
    const [k] = readFileSync(join(platform.home, 'k'), 'utf8').split(' ')
    for (const one of given) {
      const places = [platform.home, `/run/croft/${k}`]
      const found = await command('grep', ['-rlsaF', '-D', 'skip', '--exclude-dir=program', one, ...places])
      expect(found.stdout).toBe('')
      const fresh = ['-newermt', startedAt.toISOString(), '-type', 'f', '-exec', 'grep', '-laF', one, '{}', '+']
      expect((await command('find', [CACHE, ...fresh])).stdout).toBe('')
    }
  })

  it('is in no layer, configuration or history of an image', () => {
    const blobs = globSync(join(platform.home, '{,*/}registry/blobs/sha256/*')).map((path) => readFileSync(path))
    expect(blobs.length).toBeGreaterThan(5)
    for (const blob of blobs) {
      const magic = blob.subarray(0, 4).toString('hex')
      const bytes = magic === '28b52ffd' ? zstdDecompressSync(blob) : magic.startsWith('1f8b') ? gunzipSync(blob) : blob
      for (const one of given) expect(bytes.includes(one)).toBe(false)
    }
  })

  it('is in no row of the database as it is dumped', async () => {
    const [k] = readFileSync(join(platform.home, 'k'), 'utf8').split(' ')
    const [modules = ''] = globSync(join(platform.home, 'program/*/node_modules/pg')).map((path) => join(path, '..'))
    const url = `postgresql://croft@localhost/croft?host=/run/croft/${k}/pg`
    const as = ['--reuid=croft', '--regid=croft', '--init-groups', process.execPath, '-e', DUMP, url]
    const dumped = await command('setpriv', as, { cwd: '/', env: { NODE_PATH: modules } })
    expect(dumped.code, dumped.output).toBe(0)
    for (const table of ['public.build', 'public.config_var', 'public.push', 'public.event'])
      expect(dumped.stdout).toContain(`${table} {`)
    for (const one of given) expect(dumped.stdout).not.toContain(one)
  })

  it('is in no log of a build, nor in what an instance has for its environment', async () => {
    for (const app of ['buildpacks', 'dockerfile']) {
      const [build] = await platform.json<{ id: string }[]>('builds', '-a', app)
      const { stdout } = await platform.croft('builds:logs', build?.id ?? '', '-a', app)
      expect(stdout).not.toBe('')
      for (const one of given) expect(stdout).not.toContain(one)
    }
    const environments = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/environ`, 'latin1')
        } catch {
          return '' // it is gone
        }
      })
    expect(environments.some((text) => text.includes('CROFT_APP=buildpacks'))).toBe(true)
    for (const one of given) expect(environments.filter((text) => text.includes(one))).toEqual([])
    const kernel = await command('dmesg', [])
    for (const one of given) expect(kernel.stdout).not.toContain(one)
  })
})
