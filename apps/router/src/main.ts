import { createLogger, messageOf, systemClock } from '@croft/kit'
import { bindable, parseConfig } from './config.js'
import { createRouter } from './index.js'

/** HAProxy, another user, reads what this process writes; the folder's mode keeps everybody else out. */
process.umask(0o022)

const logger = createLogger('router')

async function main(): Promise<void> {
  const config = parseConfig(process.env)
  const router = createRouter(
    { ...config, listen: bindable(config.listen) },
    { clock: systemClock, random: Math.random, logger },
  )
  const stop = (signal: string): void => {
    logger.info('router-stops', { signal })
    void router.stop().then(() => process.exit(0))
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  await router.start()
}

main().catch((error: unknown) => {
  logger.error('router-failed', { why: messageOf(error) })
  process.exitCode = 1
})
