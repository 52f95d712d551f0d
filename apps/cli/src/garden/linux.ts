import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  buildShim,
  createLinuxBackend,
  releaseHomeIndex,
  reserveHomeIndex,
  type LinuxBackend,
} from '@croft/backend-linux'
import { AlreadyInUseError, type RecoverReport } from '@croft/garden-api'
import { CroftError, type Logger } from '@croft/kit'
import { requireRoot } from '../doctor/require-root.js'
import { runFolder } from '../platform/run-folder.js'
import { HomeBusy, withHomeLock } from '../up/home-lock.js'
import { LocalImages } from './images.js'
import type { GardenOptions } from './options.js'
import type { OpenedBackend } from './serve.js'
import { TreeStore } from './tree-store.js'

const DEFAULT_CACHE = '/var/cache/croft'

/** The depot cannot be used by this program now. */
export class DepotUnusable extends CroftError {
  constructor(title: string, suggestion: string) {
    super({ code: 'depot-unusable', status: 409, title, suggestion })
  }
}

/**
 * Takes up the Linux backend over a depot for as long as the work lasts; its containers outlive it unless they shall not.
 * @throws DepotUnusable, NotRoot, ImageError (the default image), and what the backend throws
 */
export async function withLinuxBackend(
  options: GardenOptions,
  logger: Logger,
  work: (opened: OpenedBackend) => Promise<void>,
): Promise<void> {
  requireRoot('garden')
  const { depot } = options
  if (existsSync(join(depot, 'id'))) {
    throw new DepotUnusable(`${depot} is the home of a platform`, 'name another folder with --depot')
  }
  try {
    await withHomeLock(depot, async () => {
      await mkdir(depot, { recursive: true, mode: 0o700 })
      await takeUp(options, logger, work)
    })
  } catch (error) {
    if (!(error instanceof HomeBusy)) throw error
    throw new DepotUnusable(`another \`croft garden\` uses ${depot}`, 'stop it, or name another folder with --depot')
  }
}

async function takeUp(
  options: GardenOptions,
  logger: Logger,
  work: (opened: OpenedBackend) => Promise<void>,
): Promise<void> {
  const { depot, defaultRootfs, aliases, maxContainers, network } = options
  const images = new LocalImages({ trees: await TreeStore.open(join(depot, 'images')), defaultRootfs, aliases })
  await images.resolve('') // a default that is not there shall not wait for the first container
  const index = await reserveHomeIndex(depot)
  const run = runFolder(index)
  const backend = await createLinuxBackend({
    index,
    depotDir: join(depot, 'containers'),
    runDir: join(run, 'containers'),
    runcRoot: join(run, 'runc'),
    shimPath: await buildShim({ cacheDir: process.env['CROFT_CACHE'] ?? DEFAULT_CACHE }),
    images,
    logger,
    network,
    allowPrivileged: options.allowPrivileged,
    ...(maxContainers !== null && { maxContainers }),
  })
  try {
    const { adopted } = await recovered(backend)
    await work({ backend, what: `containers in ${depot}`, adopted: adopted.length })
  } finally {
    if (options.destroyOnExit) {
      await backend.destroyAll()
      await releaseHomeIndex(depot)
    } else {
      await backend.close()
    }
  }
}

/** @throws DepotUnusable when somebody else on this host has the addresses */
async function recovered(backend: LinuxBackend): Promise<RecoverReport> {
  try {
    return await backend.recover()
  } catch (error) {
    if (!(error instanceof AlreadyInUseError)) throw error
    throw new DepotUnusable(
      `${error.message} on this host`,
      'name other addresses with --network, such as 10.253.0.0/20',
    )
  }
}
