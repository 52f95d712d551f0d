import { chmodSync, copyFileSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { createLogger, errnoOf, messageOf, systemClock } from '@croft/kit'
import type { SupervisorState } from '../platform/local-platform.js'
import type { ComponentName } from './component.js'
import { componentsOf } from './components.js'
import { askHealth } from './platform-health.js'
import { processRef } from './process-ref.js'
import type { SupervisorConfig } from './supervisor-config.js'
import { Supervisor } from './supervisor.js'
import { writeFileWhole } from './write-file-whole.js'

/**
 * The supervisor of one home: `node supervisor.mjs RUN/supervisor-config.json`, as root, in its own session, with its standard
 * output in `<home>/log/supervisor.log`. SIGTERM stops the components in order and leaves HAProxy and the apps serving.
 */

const LOG_LIMIT_BYTES = 16 * 1024 * 1024
const LOG_LOOK_MS = 30_000

const config = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as SupervisorConfig
const logger = createLogger('supervisor', config.logLevel)
const startedAt = new Date().toISOString()
const me = processRef(process.pid)
if (me === undefined) throw new Error('this process is not in /proc')

const logFile = (name: ComponentName | 'supervisor'): string => join(config.home, 'log', `${name}.log`)
let answered = false

const supervisor = new Supervisor(componentsOf(config), {
  clock: systemClock,
  logger,
  random: Math.random,
  pids: join(config.run, 'pids'),
  openLog: (name) => openSync(logFile(name), 'a', 0o640),
  onChange: publish,
})

function publish(): void {
  const { settings } = config
  const state: SupervisorState = {
    version: config.version,
    home: config.home,
    k: config.k,
    programHash: config.programHash,
    supervisor: me as NonNullable<typeof me>,
    startedAt,
    ready: answered && supervisor.isReady,
    settings: {
      domain: settings.domain,
      httpPort: settings.httpPort,
      httpsPort: settings.httpsPort,
      sshPort: settings.sshPort,
      publicUrl: settings.publicUrl,
      listen: settings.listen,
      garden: settings.garden,
      registry: settings.registry,
    },
    components: supervisor.view,
  }
  const file = join(config.run, 'supervisor.json')
  writeFileWhole(file, `${JSON.stringify(state, null, 2)}\n`)
  chmodSync(file, 0o644)
}

/** Keeps each log below its limit with one older file; the components append, so the file can be cut under them. */
function rotateLogs(): void {
  for (const name of [...supervisor.view.map((component) => component.name), 'supervisor' as const]) {
    const file = logFile(name)
    try {
      if (statSync(file).size < LOG_LIMIT_BYTES) continue
      copyFileSync(file, `${file}.1`)
      truncateSync(file)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') logger.warn('log-not-rotated', { name, error: messageOf(error) })
    }
  }
}

async function untilItAnswers(): Promise<void> {
  while (!(supervisor.isReady && (await askHealth(config.settings)).isReady)) await systemClock.sleep(20)
  answered = true
  publish()
  logger.info('ready', { afterMs: Math.round(performance.now()) })
}

let isStopping = false
async function stop(signal: string): Promise<void> {
  if (isStopping) return
  isStopping = true
  logger.info('stopping', { signal })
  await supervisor.stop()
  publish()
  logger.info('stopped')
  process.exit(0)
}
process.on('SIGTERM', () => void stop('SIGTERM'))
process.on('SIGINT', () => void stop('SIGINT'))
process.on('SIGHUP', () => undefined)

logger.info('supervisor-started', { home: config.home, k: config.k, program: config.programHash })
supervisor.start()
setInterval(rotateLogs, LOG_LOOK_MS).unref()
await untilItAnswers()
