import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { createController, type Controller, type ControllerConfig } from '@croft/controller'
import { silentLogger, systemClock, type Logger } from '@croft/kit'
import { testDatabase, type TestDatabase } from './database.js'

/** The controller alone, in this process, on a real PostgreSQL and Redis, asked through its sockets as the router would ask. */
export interface ControllerRig {
  controller: Controller
  config: ControllerConfig
  database: TestDatabase
  /** Text of the operator's token. */
  operatorToken: string
  /** One request to the public socket; `token` undefined sends no credentials. */
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>
  /** Ends the controller and starts another one in the same home. */
  restart(changes?: Partial<ControllerConfig>): Promise<void>
  close(): Promise<void>
}

export interface AskOptions {
  token?: string | undefined
  body?: unknown
  headers?: Record<string, string>
  /** Answers with what came until then; for streams. Default 10 s. */
  timeoutMs?: number
}

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
  /** The body as JSON; undefined when it is none. */
  json: unknown
}

const OPERATOR_TOKEN = 'croft_operator-of-the-test'

export async function controllerRig(changes: Partial<ControllerConfig> = {}): Promise<ControllerRig> {
  const database = await testDatabase()
  const home = mkdtempSync('/tmp/croft-controller-')
  const run = `${home}/run`
  for (const folder of ['api', 'node', 'control', 'push']) mkdirSync(`${run}/${folder}`, { recursive: true })
  for (const folder of ['git', 'registry', 'controller']) mkdirSync(`${home}/${folder}`)
  let config: ControllerConfig = {
    home,
    homeId: 'test',
    k: 0,
    run,
    cache: `${home}/cache`,
    domain: 'localhost',
    httpPort: 8080,
    publicUrl: 'http://localhost:8080',
    program: home,
    programHash: 'test',
    version: '0.0.0-test',
    logLevel: 'silent',
    timeScale: 1,
    databaseUrl: database.databaseUrl,
    redisUrl: database.redisUrl,
    operatorTokenSha256: createHash('sha256').update(OPERATOR_TOKEN).digest('hex'),
    registry: null,
    hostCa: null,
    hostProxy: {},
    ...changes,
  }
  const begin = async (): Promise<Controller> => {
    const controller = await createController(config, { logger: loggerOfTests(), clock: systemClock })
    await controller.listen()
    return controller
  }
  const rig: ControllerRig = {
    controller: await begin(),
    config,
    database,
    operatorToken: OPERATOR_TOKEN,
    ask: (method, path, options = {}) => ask(rig.controller.apiSocket, method, path, options),
    async restart(more = {}) {
      await rig.controller.close()
      config = { ...config, ...more }
      rig.config = config
      rig.controller = await begin()
    },
    async close() {
      await rig.controller.close()
      await database.close()
      rmSync(home, { recursive: true, force: true })
    },
  }
  return rig
}

function ask(socketPath: string, method: string, path: string, options: AskOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const body = options.body === undefined ? undefined : JSON.stringify(options.body)
    const sent = request(
      {
        socketPath,
        method,
        path,
        agent: false,
        headers: {
          host: 'croft.localhost:8080',
          ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
          ...(body !== undefined && {
            'content-type': 'application/json',
            'content-length': String(Buffer.byteLength(body)),
          }),
          ...options.headers,
        },
      },
      (answer) => {
        let text = ''
        const done = (): void => {
          clearTimeout(timer)
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, json: parse(text) })
        }
        answer.setEncoding('utf8')
        answer.on('data', (chunk: string) => (text += chunk))
        answer.on('end', done)
        answer.on('error', done) // cut off by the time-out below
      },
    )
    const timer = setTimeout(
      () => sent.destroy(new Error(`${method} ${path} was not answered`)),
      options.timeoutMs ?? 10_000,
    )
    sent.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    sent.end(body)
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Silent, but for what went wrong: a 500 in a spec should be read without a debugger. */
function loggerOfTests(): Logger {
  const say = (event: string, fields?: Record<string, unknown>): void => {
    const text = JSON.stringify(fields, (_key, value: unknown) => (value instanceof Error ? value.stack : value))
    process.stderr.write(`${event} ${text}\n`)
  }
  const logger: Logger = { ...silentLogger, error: say, child: () => logger }
  return logger
}
