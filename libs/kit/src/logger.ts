import { pino, type Logger as PinoLogger } from 'pino'

/** One JSON object a line: `event` in kebab-case, ids as fields (style rules 30–32). */
export interface Logger {
  debug(event: string, fields?: Record<string, unknown>): void
  info(event: string, fields?: Record<string, unknown>): void
  warn(event: string, fields?: Record<string, unknown>): void
  error(event: string, fields?: Record<string, unknown>): void
  child(fields: Record<string, unknown>): Logger
}

const wrap = (base: PinoLogger): Logger => ({
  debug: (event, fields) => base.debug({ event, ...fields }),
  info: (event, fields) => base.info({ event, ...fields }),
  warn: (event, fields) => base.warn({ event, ...fields }),
  error: (event, fields) => base.error({ event, ...fields }),
  child: (fields) => wrap(base.child(fields)),
})

const STDOUT = 1
export const STDERR = 2

/** A logger that writes JSON lines to standard output; the supervisor gives each component its file. */
export function createLogger(
  component: string,
  level = process.env['CROFT_LOG_LEVEL'] ?? 'info',
  fd: typeof STDOUT | typeof STDERR = STDOUT,
): Logger {
  return wrap(
    pino(
      {
        level,
        base: { component },
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
        serializers: {
          error: (error: unknown) => (error instanceof Error ? { message: error.message, stack: error.stack } : error),
        },
      },
      pino.destination({ fd, sync: true }),
    ),
  )
}

/** A logger that says nothing; for tests. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
}
