import { createLogger, STDERR, systemClock, type Logger } from '@croft/kit'
import { Reaper, type Backend } from '@croft/garden-api'
import type { FakeProgram } from '@croft/garden-api/fake'
import { createGardenServer, type ListenOptions } from '@croft/garden-api/http'
import { printLines } from '../output.js'
import { withLinuxBackend } from './linux.js'
import type { GardenOptions } from './options.js'
import { groupId, readPlain, readSecret, readToken } from './secrets.js'

/** What an executor starts in any backend, scripted: its probe, and an app that only runs. */
const PLATFORM_PROGRAMS: Readonly<Record<string, FakeProgram>> = {
  '/bin/true': async () => 0,
  '/cnb/process/web': async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    return 0
  },
}

/** What a backend is served with; `end` takes it down in order. */
export interface OpenedBackend {
  backend: Backend
  /** Where its containers are, in a person's words. */
  what: string
  /** Containers that ran already. */
  adopted: number
}

/**
 * Serves the container API until the signal, with a backend of its own: `croft garden`. It is loaded beside the CLI's bundle, so
 * that it and the backend share one copy of the API's errors.
 * @throws CroftError when it cannot begin
 */
export async function serveGarden(options: GardenOptions, signal: AbortSignal): Promise<void> {
  const logger = createLogger('garden', process.env['CROFT_LOG_LEVEL'] ?? 'warn', STDERR)
  const listens = await readListens(options)
  const serveIt = async (opened: OpenedBackend): Promise<void> => await serve(opened, listens, options, logger, signal)
  if (options.backend === 'fake') {
    const { FakeBackend } = await import('@croft/garden-api/fake')
    return await serveIt({
      backend: new FakeBackend({ programs: PLATFORM_PROGRAMS }),
      what: 'a fake, in memory',
      adopted: 0,
    })
  }
  await withLinuxBackend(options, logger, serveIt)
  if (options.json) return
  printLines(
    options.destroyOnExit
      ? '=====> Its containers are destroyed'
      : `=====> Its containers run on; another \`croft garden\` with --depot ${options.depot} takes them up`,
  )
}

async function serve(
  { backend, what, adopted }: OpenedBackend,
  listens: readonly ListenOptions[],
  options: GardenOptions,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const reaper = new Reaper({ backend, clock: systemClock, logger })
  const server = createGardenServer({ backend, logger, hold: (handle) => reaper.hold(handle) })
  try {
    await reaper.start()
    const addresses: string[] = []
    for (const listen of listens) addresses.push(await server.listen(listen))
    if (options.json) {
      printLines(JSON.stringify({ listening: addresses, backend: options.backend, adopted }))
    } else {
      printLines(`=====> Garden listens on ${addresses.join(', ')} (${what}; ${adopted} containers taken up)`)
    }
    await aborted(signal)
  } finally {
    await server.close()
    reaper.close()
  }
}

async function readListens(options: GardenOptions): Promise<ListenOptions[]> {
  const { tls, tokenFile, group } = options
  const gid = group === null ? undefined : await groupId(group)
  const token = tokenFile === null ? undefined : await readToken(tokenFile)
  const secured =
    tls === null
      ? undefined
      : {
          cert: await readPlain(tls.cert),
          key: await readSecret(tls.key),
          ...(tls.ca !== null && { ca: await readPlain(tls.ca) }),
        }
  return options.listen.map((address) =>
    address.startsWith('unix:')
      ? { address, ...(gid !== undefined && { gid }) }
      : { address, ...(token !== undefined && { token }), ...(secured !== undefined && { tls: secured }) },
  )
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
