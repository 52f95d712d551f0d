import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { waitFor } from '@croft/kit'
import pg from 'pg'
import { ControllerProcess } from './controller-process.js'
import { testDatabase, type TestDatabase } from './database.js'
import { Clone, command } from './git-clone.js'
import { ScriptedBuilds } from './scripted-builds.js'
import { ScriptedNode } from './scripted-node.js'
import { ScriptedRouter } from './scripted-router.js'
import { bytesOf, call } from './socket-call.js'

const TOKEN = 'croft_pusher'

/** A release as the database has it. */
export interface ReleaseRow {
  version: number
  image: string
  commit: string
  description: string
}

/**
 * A real controller process on a real PostgreSQL and Redis, pushed to by a real git, with an executor and a router that follow
 * a script. The process can be killed at a failpoint and started again.
 */
export class PushRig {
  readonly token = TOKEN
  readonly #builds: ScriptedBuilds
  readonly #controller: ControllerProcess
  readonly #proxy: Server

  private constructor(
    readonly folder: string,
    readonly database: TestDatabase,
    readonly node: ScriptedNode,
    readonly router: ScriptedRouter,
    proxy: Server,
  ) {
    this.#proxy = proxy
    this.#builds = new ScriptedBuilds(node)
    const isServing = async (): Promise<boolean> => (await this.api('/api/v1/apps')).status === 200
    this.#controller = new ControllerProcess(environmentOf(folder, database), join(folder, 'controller.log'), isServing)
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
    rig.#builds.start()
    return rig
  }

  async close(): Promise<void> {
    this.#builds.stop()
    await this.router.stop()
    await this.node.stop()
    await this.kill()
    this.#proxy.close()
    await this.database.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Starts the controller, see `ControllerProcess.boot`. */
  async boot(failpoint?: string, localTools?: string): Promise<void> {
    await this.#controller.boot(failpoint, localTools)
  }

  /** Ends the controller as a death would. */
  async kill(): Promise<void> {
    await this.#controller.kill()
  }

  /** Asks the controller to stop, and gives its exit code. */
  async stop(): Promise<number | null> {
    return await this.#controller.stop()
  }

  /** Resolves when the controller is dead, of whatever. */
  async dead(): Promise<void> {
    await this.#controller.dead()
  }

  get isAlive(): boolean {
    return this.#controller.isAlive
  }

  /** Sources the executor was given, as file names. */
  get sources(): readonly string[][] {
    return this.#builds.sources
  }

  /** What the next builds do. */
  set onBuild(script: ScriptedBuilds['onBuild']) {
    this.#builds.onBuild = script
  }

  /** A read of the public API as the operator. */
  async api<T>(path: string): Promise<{ status: number; body: T }> {
    return call<T>(join(this.folder, 'run/api/api.sock'), 'GET', path, undefined, TOKEN)
  }

  /** Plain text of the public API. */
  async text(path: string): Promise<string> {
    return (await bytesOf(join(this.folder, 'run/api/api.sock'), path, { token: TOKEN })).toString()
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
}

function environmentOf(folder: string, database: TestDatabase): Record<string, string> {
  return {
    PATH: '/usr/bin:/bin',
    CROFT_HOME: join(folder, 'home'),
    CROFT_HOME_ID: 'push-rig',
    CROFT_K: '51',
    CROFT_RUN: join(folder, 'run'),
    CROFT_PUBLIC_URL: 'http://localhost:8080',
    CROFT_PROGRAM: folder,
    CROFT_PROGRAM_HASH: 'rig',
    CROFT_VERSION: '0.0.0',
    CROFT_DATABASE_URL: database.databaseUrl,
    CROFT_REDIS_URL: database.redisUrl,
    CROFT_OPERATOR_TOKEN_SHA256: createHash('sha256').update(TOKEN).digest('hex'),
  }
}
