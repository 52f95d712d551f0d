import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { finished } from 'node:stream/promises'
import { CommandFailed, messageOf, run, start, waitFor } from '@croft/kit'
import type { BuildResult, DesiredInstance } from '@croft/protocol'
import pg from 'pg'
import { extract } from 'tar-stream'
import { Agent, request } from 'undici'
import { call, ScriptedNode, ScriptedRouter } from './control-rig.js'
import { testDatabase, type TestDatabase } from './database.js'
import { checkout } from './platform.js'

const TOKEN = 'croft_pusher'
/** Arguments that follow: a folder, and the command that finds it in place of the first folder of every path of ours. */
const IN_OWN_MOUNTS = [
  '/usr/bin/unshare',
  '--mount',
  '--propagation',
  'private',
  '/bin/sh',
  '-ec',
  'mount --bind "$1" /usr/local/sbin; shift; exec "$@"',
  'in-own-mounts',
]

export interface Pushed {
  code: number
  /** Everything git said. */
  output: string
  /** What the platform said, without `remote: `. */
  lines: string[]
}

/** What the scripted executor makes of a build. */
export interface BuildScript {
  /** Lines it logs. */
  lines: string[]
  result: BuildResult
  /** The build goes on until this resolves. */
  until: Promise<void>
}

/** A release as the database has it. */
export interface ReleaseRow {
  version: number
  image: string
  commit: string
  description: string
}

/** A promise and what resolves it. */
export function gate(): { open: () => void; until: Promise<void> } {
  let open = (): void => undefined
  const until = new Promise<void>((resolve) => (open = resolve))
  return { open, until }
}

/**
 * A real controller process on a real PostgreSQL and Redis, pushed to by a real git, with an executor and a router that follow
 * a script. The process can be killed at a failpoint and started again.
 */
export class PushRig {
  readonly token = TOKEN
  /** Sources the executor was given, as file names. */
  readonly sources: string[][] = []
  /** Changes what the next builds do. */
  onBuild: (item: DesiredInstance) => Partial<BuildScript> = () => ({})
  #controller: ChildProcess | undefined
  #proxy: Server
  #served = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  private constructor(
    readonly folder: string,
    readonly database: TestDatabase,
    readonly node: ScriptedNode,
    readonly router: ScriptedRouter,
    proxy: Server,
  ) {
    this.#proxy = proxy
  }

  static async start(): Promise<PushRig> {
    const database = await testDatabase('/tmp/push-db-')
    const folder = mkdtempSync('/tmp/push-rig-')
    for (const name of ['home', 'run', 'run/api', 'run/node', 'run/control', 'run/push', 'work'])
      mkdirSync(join(folder, name))
    const proxy = createServer((client) => {
      const upstream = connect(join(folder, 'run/api/api.sock'))
      client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
      upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
      client.pipe(upstream).pipe(client)
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    const node = new ScriptedNode(join(folder, 'run/node/node.sock'))
    node.memoryBytes = 256 * 1024 ** 3 // room for every app of the specs
    const router = new ScriptedRouter(join(folder, 'run/control/control.sock'))
    const rig = new PushRig(folder, database, node, router, proxy)
    await rig.boot()
    await node.start()
    await router.start()
    rig.#timer = setInterval(() => rig.#serveBuilds(), 20)
    return rig
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.router.stop()
    await this.node.stop()
    await this.kill()
    this.#proxy.close()
    await this.database.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /**
   * Starts the controller; with a failpoint it dies there. With `localTools`, a folder, the programs in it go before the host's
   * of the same name, for this controller only.
   */
  async boot(failpoint?: string, localTools?: string): Promise<void> {
    const log = join(this.folder, 'controller.log')
    const env = {
      PATH: '/usr/bin:/bin',
      CROFT_HOME: join(this.folder, 'home'),
      CROFT_HOME_ID: 'push-rig',
      CROFT_K: '51',
      CROFT_RUN: join(this.folder, 'run'),
      CROFT_PUBLIC_URL: 'http://localhost:8080',
      CROFT_PROGRAM: this.folder,
      CROFT_PROGRAM_HASH: 'rig',
      CROFT_VERSION: '0.0.0',
      CROFT_DATABASE_URL: this.database.databaseUrl,
      CROFT_REDIS_URL: this.database.redisUrl,
      CROFT_OPERATOR_TOKEN_SHA256: createHash('sha256').update(TOKEN).digest('hex'),
      ...(failpoint !== undefined && { CROFT_FAILPOINT: failpoint }),
    }
    const main = [process.execPath, join(checkout, 'apps/controller/dist/controller.mjs')]
    const [program = '', ...args] = localTools === undefined ? main : [...IN_OWN_MOUNTS, localTools, ...main]
    const child = start(program, args, { env })
    this.#controller = child
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        writeFileSync(log, chunk, { flag: 'a' })
      })
    }
    await waitFor(
      async () => {
        if (child.exitCode !== null) throw new Error(said)
        return (
          (await call(join(this.folder, 'run/api/api.sock'), 'GET', '/api/v1/apps', undefined, TOKEN)).status === 200
        )
      },
      { what: 'the controller', timeoutMs: 20_000, everyMs: 50 },
    )
  }

  /** Ends the controller as a death would. */
  async kill(): Promise<void> {
    this.#controller?.kill('SIGKILL')
    await this.dead()
  }

  /** Asks the controller to stop, and gives its exit code. */
  async stop(): Promise<number | null> {
    this.#controller?.kill('SIGTERM')
    await this.dead()
    return this.#controller?.exitCode ?? null
  }

  /** Resolves when the controller is dead, of whatever. */
  async dead(): Promise<void> {
    const child = this.#controller
    await waitFor(() => child === undefined || child.exitCode !== null || child.signalCode !== null, {
      what: 'the controller to die',
      timeoutMs: 20_000,
    })
  }

  get isAlive(): boolean {
    return this.#controller?.exitCode === null && this.#controller.signalCode === null
  }

  /** A read of the public API as the operator. */
  async api<T>(path: string): Promise<{ status: number; body: T }> {
    return call<T>(join(this.folder, 'run/api/api.sock'), 'GET', path, undefined, TOKEN)
  }

  /** Plain text of the public API. */
  async text(path: string): Promise<string> {
    return (await bytesOf(join(this.folder, 'run/api/api.sock'), path)).toString()
  }

  /** A write of the public API as the operator, and the whole text of its answer. */
  async post(path: string, body: unknown): Promise<{ status: number; text: string }> {
    return this.#write('POST', path, body)
  }

  async patch(path: string, body: unknown): Promise<{ status: number; text: string }> {
    return this.#write('PATCH', path, body)
  }

  async #write(method: string, path: string, body: unknown): Promise<{ status: number; text: string }> {
    const { port } = this.#proxy.address() as AddressInfo
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: answer.status, text: await answer.text() }
  }

  /** A removal through the public API as the operator: the status of its answer. */
  async delete(path: string): Promise<number> {
    const { port } = this.#proxy.address() as AddressInfo
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${TOKEN}` },
    })
    return answer.status
  }

  /** Makes an app that nothing was pushed to. */
  async createApp(name: string): Promise<void> {
    const { status, text } = await this.post('/api/v1/apps', { name })
    if (status !== 201) throw new Error(text)
  }

  /** What the CLI needs in its environment to find this platform. */
  get cliEnv(): Record<string, string> {
    const { port } = this.#proxy.address() as AddressInfo
    return { CROFT_URL: `http://127.0.0.1:${port}`, CROFT_TOKEN: TOKEN }
  }

  url(app: string, token = TOKEN): string {
    const address = this.#proxy.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    return `http://croft:${token}@127.0.0.1:${port}/${app}.git`
  }

  /** A clone with one commit and the remote `croft`. */
  async clone(app: string, files: Record<string, string> = {}): Promise<Clone> {
    const clone = new Clone(mkdtempSync(join(this.folder, `work/${app}-`)))
    await clone.git('init', '-q', '-b', 'main')
    await clone.git('remote', 'add', 'croft', this.url(app))
    clone.write({ 'package.json': '{}', ...files })
    await clone.commit('first')
    return clone
  }

  async query<T extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<T[]> {
    const client = new pg.Client({ connectionString: this.database.databaseUrl })
    await client.connect()
    try {
      return (await client.query<T>(sql, values)).rows
    } finally {
      await client.end()
    }
  }

  /** Folder of an app's bare repository. */
  async repository(app: string): Promise<string> {
    const [row] = await this.query<{ repository_id: string }>('SELECT repository_id FROM app WHERE name = $1', [app])
    return join(this.folder, 'home/git', `${row?.repository_id}.git`)
  }

  /** What main is on the platform, or undefined. */
  async head(app: string): Promise<string | undefined> {
    const { output } = await command([
      'git',
      `--git-dir=${await this.repository(app)}`,
      'for-each-ref',
      '--format=%(objectname)',
      'refs/heads/main',
    ])
    return output.trim() || undefined
  }

  /** States of an app's pushes, oldest first. */
  async pushes(app: string): Promise<string[]> {
    const rows = await this.query<{ state: string }>(
      'SELECT p.state FROM push p JOIN app a ON a.id = p.app_id WHERE a.name = $1 ORDER BY p.id',
      [app],
    )
    return rows.map((row) => row.state)
  }

  /** Resolves once the newest push of an app is in this state. */
  async pushIs(app: string, state: string): Promise<void> {
    const isIt = async (): Promise<boolean> => (await this.pushes(app)).at(-1) === state
    await waitFor(isIt, { what: `the push of ${app} to be ${state}`, timeoutMs: 10_000 })
  }

  /** Builds succeed and what is started is ready, as long as nothing else is said. */
  behaveAsEver(): void {
    this.onBuild = () => ({})
    this.node.behave = () => ({ kind: 'ready' })
  }

  /** Releases of an app, oldest first. */
  releases(app: string): Promise<ReleaseRow[]> {
    return this.query<ReleaseRow>(
      'SELECT version, image, commit, description FROM release r JOIN app a ON a.id = r.app_id WHERE a.name = $1 ORDER BY version',
      [app],
    )
  }

  /** Names of all apps. */
  async appNames(): Promise<string[]> {
    return (await this.query<{ name: string }>('SELECT name FROM app')).map(({ name }) => name)
  }

  /** Leftovers in the folder of fifos. */
  get channels(): string[] {
    return readdirSync(join(this.folder, 'run/push'))
  }

  #serveBuilds(): void {
    for (const item of this.node.items.values()) {
      if (item.spec.kind !== 'build' || this.#served.has(item.id)) continue
      this.#served.add(item.id)
      this.#build(item, item.spec.buildId).catch(() => this.#served.delete(item.id)) // the controller died: once more
    }
  }

  async #build(item: DesiredInstance, buildId: string): Promise<void> {
    const socket = join(this.folder, 'run/node/node.sock')
    const source = await bytesOf(socket, `/v1/builds/${buildId}/source`)
    this.sources.push(await tarNames(source))
    const script: BuildScript = {
      lines: ['-----> Node.js app detected (package.json)', '-----> Exporting image'],
      until: Promise.resolve(),
      result: {
        outcome: 'succeeded',
        image: `sha256:${createHash('sha256').update(source).digest('hex')}`,
        processTypes: { web: { command: 'node server.js', argv: ['/cnb/process/web'] } },
        newLayers: 1,
        newBytes: 1,
      },
      ...this.onBuild(item),
    }
    await bytesOf(socket, `/v1/builds/${buildId}/log`, `${script.lines.join('\n')}\n`)
    await script.until
    if (this.node.items.has(item.id)) {
      this.node.say(item.id, { observed: 'exited', build: script.result })
    }
  }
}

/** A folder of a person who pushes. */
export class Clone {
  constructor(readonly folder: string) {}

  write(files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, name)), { recursive: true })
      writeFileSync(join(this.folder, name), text)
    }
  }

  async git(...args: string[]): Promise<Pushed> {
    return command(['git', ...args], this.folder)
  }

  async commit(message: string): Promise<string> {
    await this.git('add', '-A')
    await this.git('commit', '-q', '--allow-empty', '-m', message)
    return (await this.git('rev-parse', 'HEAD')).output.trim()
  }

  /** Changes one file, commits it and gives the commit. */
  async change(text: string = String(Math.random())): Promise<string> {
    this.write({ 'server.js': text })
    return this.commit('change')
  }

  async push(...refs: string[]): Promise<Pushed> {
    return this.git('push', 'croft', ...(refs.length === 0 ? ['main'] : refs))
  }

  /** A push somebody may leave: all its processes are in one group. */
  startPush(...args: string[]): ChildProcess {
    return start('git', ['push', 'croft', ...args], { cwd: this.folder, env: GIT_ENV, detached: true })
  }
}

const GIT_ENV = {
  PATH: '/usr/bin:/bin',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@localhost',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@localhost',
}

/** Ends a push as Ctrl-C or a dropped connection would: every process of it at once. */
export function leave(pushing: ChildProcess): void {
  if (pushing.pid !== undefined) process.kill(-pushing.pid, 'SIGKILL')
}

/** Runs a command of the person who pushes. */
export async function command(argv: string[], cwd = '/', input?: string | Buffer): Promise<Pushed> {
  const [name = '', ...args] = argv
  let output = ''
  const options = {
    cwd,
    env: GIT_ENV,
    timeoutMs: 45_000, // well below a spec's time, which then shows what was said until then
    onOutput: (chunk: Buffer) => (output += chunk.toString()),
    ...(input !== undefined && { input }),
  }
  const code = await run(name, args, options).then(
    () => 0,
    (error: unknown) => {
      if (error instanceof CommandFailed && error.exitCode !== null) return error.exitCode
      output += `\n${messageOf(error)}`
      return -1
    },
  )
  const lines = output
    .split('\n')
    .filter((line) => line.startsWith('remote: '))
    .map((line) => line.slice('remote: '.length).trimEnd())
  return { code, output, lines }
}

async function bytesOf(socketPath: string, path: string, body?: string): Promise<Buffer> {
  const agent = new Agent({ connect: { socketPath } })
  try {
    const response = await request(`http://rig${path}`, {
      dispatcher: agent,
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, ...(body !== undefined && { 'content-type': 'text/plain' }) },
      ...(body !== undefined && { body }),
    })
    const bytes = Buffer.from(await response.body.arrayBuffer())
    if (response.statusCode >= 300) throw new Error(`${path} answered ${response.statusCode}`)
    return bytes
  } finally {
    agent.destroy().catch(() => undefined)
  }
}

async function tarNames(tar: Buffer): Promise<string[]> {
  const names: string[] = []
  const reading = extract()
  reading.on('entry', (header, stream, next) => {
    names.push(header.name)
    stream.on('end', () => next()).resume()
  })
  reading.end(tar)
  await finished(reading)
  return names
}
