import type { LoggerService } from '@nestjs/common'
import type { Logger } from '@croft/kit'

/** The framework's own messages as lines of ours: its chatter at debug, its complaints as they are. */
export class NestLog implements LoggerService {
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger.child({ source: 'nest' })
  }
  log(message: unknown): void {
    this.#logger.debug('nest', { message })
  }
  debug(message: unknown): void {
    this.#logger.debug('nest', { message })
  }
  verbose(message: unknown): void {
    this.#logger.debug('nest', { message })
  }
  warn(message: unknown): void {
    this.#logger.warn('nest', { message })
  }
  error(message: unknown, ...rest: unknown[]): void {
    this.#logger.error('nest', { message, rest })
  }
}
