import { CroftError } from '@croft/kit'
import { readToken } from '../../garden/secrets.js'
import type { GardenSetting } from '../../up/settings.js'
import type { Check, Finding } from '../check.js'

/** What an executor asks of a container API beyond Garden. */
const NEEDED = ['processes', 'process-log', 'destroy-if-exists', 'spec-fields']
const TIMEOUT_MS = 5_000

/** The container API a platform uses in place of its own answers, and can do what a platform needs. */
export const garden: Check = {
  name: 'garden',
  phase: 'host',
  async run(settings): Promise<Finding> {
    if (settings.garden === null) return { status: 'ok', detail: 'containers are our own' }
    return await judgeGarden(settings.garden)
  },
}

async function judgeGarden(setting: GardenSetting): Promise<Finding> {
  const { address, tokenFile, network } = setting
  const failed = (detail: string, remedy: string): Finding => ({ status: 'failed', detail, remedy })
  const options = {
    address,
    timeoutMs: TIMEOUT_MS,
    ...(tokenFile !== null && { token: await readToken(tokenFile) }),
  }
  const { createGardenClient, gardenFeatures } = await import('@croft/garden-api/http')
  let features: ReadonlySet<string>
  try {
    features = await gardenFeatures(options)
  } catch (error) {
    if (!(error instanceof CroftError)) throw error
    return failed(error.message, `./croft garden --listen ${address}, or leave out --garden`)
  }
  const missing = NEEDED.filter((feature) => !features.has(feature))
  if (missing.length > 0) {
    return failed(
      `the container API at ${address} lacks what a platform needs: ${missing.join(', ')}`,
      'use one that announces it; docs/writing-a-backend.md says what it is',
    )
  }
  const client = createGardenClient(options)
  try {
    if (features.has('check')) await client.check({ network: lastAddress(network) })
  } catch (error) {
    if (!(error instanceof CroftError)) throw error
    const isTaken = error.status === 409 // by a container of this very platform
    if (!isTaken) {
      return failed(
        `the container API at ${address} gives no addresses of ${network}: ${error.message}`,
        '--garden-network with the range it has (croft garden --network)',
      )
    }
  }
  if ((await client.capabilities()).hasPrivileged) return { status: 'ok', detail: `containers are those of ${address}` }
  return {
    status: 'warning',
    detail: `containers are those of ${address}, which allows no privileged ones: no Dockerfile can be built`,
    remedy: 'croft garden --allow-privileged',
  }
}

/** The last address of a range that a container may have. Pure. */
export function lastAddress(network: string): string {
  const [base = '', prefix = ''] = network.split('/')
  const size = 2 ** (32 - Number(prefix))
  const number = base.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const last = Math.floor(number / size) * size + size - 2
  return [24, 16, 8, 0].map((shift) => Math.floor(last / 2 ** shift) % 256).join('.')
}
