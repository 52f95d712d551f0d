import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { waitFor } from '@croft/kit'
import type { PivotedRoot } from './pivoted-root.js'

/** The product from outside: `./croft`, git and HTTP. Every platform here has a home, ports and a cache entry of its own. */

export const checkout = resolve(import.meta.dirname, '../../..')
/** Names every home of this suite, so that a sweep knows them; the pid of the run follows. */
export const HOME_PREFIX = '/var/tmp/croft-test-'

/** A port nobody listens on, above those that specs name: this suite runs beside other platforms, and beside itself. */
function freePort(): number {
  const taken = new Set(
    ['tcp', 'tcp6'].flatMap((name) =>
      [...readFileSync(`/proc/net/${name}`, 'utf8').matchAll(/^\s*\d+: \w+:(\w{4})/gm)].map((match) =>
        Number.parseInt(match[1] ?? '', 16),
      ),
    ),
  )
  for (;;) {
    const port = 24_000 + Math.floor(Math.random() * 2_500) * 3
    if (![port, port + 1, port + 2].some((one) => taken.has(one))) return port
  }
}

export interface CommandResult {
  code: number
  /** Standard output. */
  stdout: string
  /** Standard output and error as they came. */
  output: string
}

export interface CommandOptions {
  cwd?: string
  env?: Record<string, string>
  timeoutMs?: number
  input?: string
  signal?: AbortSignal
}

/** Runs a command to its end; a non-zero exit is a result, not an exception. */
export function command(file: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> {
  return new Promise((done, fail) => {
    const child = spawn(file, args, {
      cwd: options.cwd ?? checkout,
      env: { ...baseEnv(), ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.signal && { signal: options.signal }),
    })
    let stdout = ''
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
      output += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000)
    child.on('error', (error) => (options.signal?.aborted === true ? done({ code: 130, stdout, output }) : fail(error)))
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      done({ code: code ?? (signal === null ? 255 : 137), stdout, output })
    })
  })
}

function baseEnv(): Record<string, string> {
  const env: Record<string, string> = {}
  for (const name of [
    'PATH',
    'HOME',
    'LANG',
    'CROFT_CACHE',
    'NODE_EXTRA_CA_CERTS',
    'SSL_CERT_DIR',
    'http_proxy',
    'https_proxy',
    'no_proxy',
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'NO_PROXY',
  ]) {
    const value = process.env[name]
    if (value !== undefined) env[name] = value
  }
  // a person's git settings are not ours to rely on
  return {
    ...env,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Test',
    GIT_AUTHOR_EMAIL: 'test@example.org',
    GIT_COMMITTER_NAME: 'Test',
    GIT_COMMITTER_EMAIL: 'test@example.org',
  }
}

export interface HttpAnswer {
  status: number
  body: string
  headers: Record<string, string | string[] | undefined>
}

export interface StatusReport {
  ready: boolean
  version: string
  home: string
  addresses: Record<'http' | 'https' | 'ssh' | 'api' | 'git', string | null>
  components: { name: string; pid: number | null; state: string; rssBytes: number | null; restarts: number }[]
}

export interface PsRow {
  id: string
  instance: string
  type: string
  state: string
  release: number | null
  node: string | null
  address: string | null
  startedAt: string | null
  restarts: number
  cpuMillis: number
  memoryBytes: number
  memoryLimitBytes: number
}

export interface ReleaseRow {
  version: number
  status: string
  image: string
  commit: string | null
  description: string
}

/** A git repository of a test, with one remote `croft`. */
export class Repository {
  constructor(
    readonly directory: string,
    readonly app: string,
    readonly platform: Platform,
  ) {}

  write(files: Record<string, string>): this {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.directory, name)), { recursive: true })
      writeFileSync(join(this.directory, name), text)
    }
    return this
  }

  git(...args: string[]): Promise<CommandResult> {
    return command('git', args, { cwd: this.directory, env: this.platform.gitEnv() })
  }

  /** Adds everything and commits. */
  async commit(message = 'change'): Promise<string> {
    await this.git('add', '-A')
    const result = await this.git('commit', '-q', '--allow-empty', '-m', message)
    if (result.code !== 0) throw new Error(result.output)
    return (await this.git('rev-parse', 'HEAD')).stdout.trim()
  }

  /** `git push croft <refspec>`; the whole output as the person sees it. */
  push(refspec = 'main', ...options: string[]): Promise<CommandResult> {
    return command('git', ['push', ...options, 'croft', refspec], {
      cwd: this.directory,
      env: this.platform.gitEnv(),
      timeoutMs: 180_000,
    })
  }

  /** Writes, commits and pushes; throws with the output when the push is refused. */
  async deploy(files: Record<string, string>): Promise<string> {
    this.write(files)
    await this.commit()
    const pushed = await this.push()
    if (pushed.code !== 0) throw new Error(`push refused:\n${pushed.output}`)
    return pushed.output
  }
}

/** A whole platform under its own home, driven through the public contract only. */
export class Platform {
  readonly #repositories: string[] = []

  private constructor(
    readonly home: string,
    readonly httpPort: number,
    readonly root?: PivotedRoot,
  ) {}

  /** A platform that is not up yet, with a home and ports of its own. */
  static at(name: string): Platform {
    return new Platform(`${HOME_PREFIX}${process.env['CROFT_TEST_RUN'] ?? process.pid}-${name}`, freePort())
  }

  /** A platform in another root of this host, under any path, with ports of its own. */
  static within(root: PivotedRoot, home: string): Platform {
    return new Platform(home, freePort(), root)
  }

  /** The home as a path of this host. */
  get folder(): string {
    return this.root?.seenFromHost(this.home) ?? this.home
  }

  #launcher(args: string[], timeoutMs: number): Promise<CommandResult> {
    return this.root === undefined
      ? command('./croft', args, { timeoutMs })
      : this.root.command(join(checkout, 'croft'), args, { timeoutMs })
  }

  get portOptions(): string[] {
    return [
      '--home',
      this.home,
      '--http-port',
      String(this.httpPort),
      '--https-port',
      String(this.httpPort + 1),
      '--ssh-port',
      String(this.httpPort + 2),
    ]
  }

  async up(...args: string[]): Promise<CommandResult> {
    const result = await this.#launcher(['up', '--detach', ...this.portOptions, ...args], 300_000)
    if (result.code !== 0) throw new Error(`up failed (${result.code}):\n${result.output}`)
    return result
  }

  down(...args: string[]): Promise<CommandResult> {
    return this.#launcher(['down', '--home', this.home, ...(args.length === 0 ? ['--yes'] : args)], 60_000)
  }

  /** A CLI verb of this platform. */
  croft(...args: string[]): Promise<CommandResult> {
    return this.#launcher([...args, '--home', this.home], 120_000)
  }

  /** A CLI verb with `--json`, parsed. */
  async json<T>(...args: string[]): Promise<T> {
    const result = await this.croft(...args, '--json')
    if (result.code !== 0) throw new Error(`croft ${args.join(' ')} failed (${result.code}):\n${result.output}`)
    return JSON.parse(result.stdout) as T
  }

  status(): Promise<StatusReport> {
    return this.json<StatusReport>('status')
  }

  ps(app: string): Promise<PsRow[]> {
    return this.json<PsRow[]>('ps', '-a', app)
  }

  releases(app: string): Promise<ReleaseRow[]> {
    return this.json<ReleaseRow[]>('releases', '-a', app)
  }

  async pidOf(component: string): Promise<number> {
    const pid = (await this.status()).components.find(({ name }) => name === component)?.pid
    if (pid === undefined || pid === null) throw new Error(`${component} does not run`)
    return pid
  }

  get token(): string {
    return readFileSync(join(this.folder, 'operator-token'), 'utf8').trim()
  }

  gitUrl(app: string): string {
    return `http://croft.localhost:${this.httpPort}/${app}.git`
  }

  /** Environment in which git finds the token as a credential helper would give it: never in the URL. */
  gitEnv(): Record<string, string> {
    return {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `credential.http://croft.localhost:${this.httpPort}.helper`,
      GIT_CONFIG_VALUE_0: `!f() { test "$1" = get && printf 'username=git\\npassword=%s\\n' "$CROFT_TEST_TOKEN"; }; f`,
      CROFT_TEST_TOKEN: this.token,
    }
  }

  /** A fresh repository whose remote `croft` is the app of that name. */
  async repository(app: string, files: Record<string, string>): Promise<Repository> {
    const directory = mkdtempSync(join(tmpdir(), 'croft-repo-'))
    this.#repositories.push(directory)
    const repository = new Repository(directory, app, this).write(files)
    await repository.git('init', '-q', '-b', 'main')
    await repository.git('remote', 'add', 'croft', this.gitUrl(app))
    await repository.commit('first')
    return repository
  }

  /** GET through the router as a browser would, `app` resolved to loopback. */
  get(
    app: string,
    path = '/',
    options: { method?: string; headers?: Record<string, string>; body?: string; timeoutMs?: number } = {},
  ): Promise<HttpAnswer> {
    return new Promise((done, fail) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: this.httpPort,
          path,
          method: options.method ?? 'GET',
          timeout: options.timeoutMs ?? 10_000,
          agent: false,
          headers: { host: `${app}.localhost:${this.httpPort}`, ...options.headers },
        },
        (response) => {
          let body = ''
          response.on('data', (chunk: Buffer) => (body += chunk.toString()))
          response.on('end', () => done({ status: response.statusCode ?? 0, body, headers: response.headers }))
          response.on('error', fail)
        },
      )
      sent.on('timeout', () => sent.destroy(new Error('timeout')))
      sent.on('error', fail)
      sent.end(options.body)
    })
  }

  /** Waits until the app answers 200 with a body that contains `text`. */
  serves(app: string, text: string, timeoutMs = 10_000): Promise<HttpAnswer> {
    return waitFor(
      async () => {
        const answer = await this.get(app)
        return answer.status === 200 && answer.body.includes(text) ? answer : undefined
      },
      { what: `${app} to answer with ${JSON.stringify(text)}`, timeoutMs },
    )
  }

  /** Removes the home of a platform that is down. */
  remove(): void {
    for (const directory of [...this.#repositories, this.folder]) rmSync(directory, { recursive: true, force: true })
  }
}

/** A web app in one file: answers `text`, and what a test asks of it. */
export function webApp(text: string): Record<string, string> {
  return {
    'package.json': JSON.stringify({
      name: 'app',
      version: '1.0.0',
      type: 'module',
      engines: { node: '24' },
      scripts: { start: 'node server.js' },
    }),
    'server.js': `import { createServer } from 'node:http'
const text = ${JSON.stringify(text)}
console.log('started with', text)
createServer((request, response) => {
  if (request.url === '/crash') process.exit(3)
  if (request.url === '/env') return response.end(JSON.stringify(process.env))
  if (request.url === '/pid') return response.end(String(process.env.CROFT_INSTANCE + ' ' + process.pid))
  if (request.url.startsWith('/slow')) return setTimeout(() => response.end(text), 1500)
  if (request.url.startsWith('/say/')) console.log(request.url.slice(5))
  response.end(text)
}).listen(process.env.PORT)
`,
  }
}
