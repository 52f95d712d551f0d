import { CroftError, createLogger } from '@croft/kit'
import { readConfig } from './config.js'
import { createController } from './controller.js'

/** An orderly stop that takes longer than this is ended. */
const STOP_TIMEOUT_MS = 10_000

const logger = createLogger('controller')

process.on('unhandledRejection', (error) => {
  logger.error('unhandled-rejection', { error })
  process.exit(1)
})

try {
  const controller = await createController(readConfig(process.env), { logger })
  const stop = (signal: string): void => {
    logger.info('controller-stopping', { signal })
    setTimeout(() => {
      logger.error('controller-stop-timed-out', { timeoutMs: STOP_TIMEOUT_MS })
      process.exit(1)
    }, STOP_TIMEOUT_MS).unref()
    controller.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error('controller-stop-failed', { error })
        process.exit(1)
      },
    )
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  await controller.listen()
} catch (error) {
  if (error instanceof CroftError) {
    logger.error('controller-start-failed', { why: error.message, suggestion: error.suggestion, error })
  } else logger.error('controller-start-failed', { error })
  process.exit(1)
}
