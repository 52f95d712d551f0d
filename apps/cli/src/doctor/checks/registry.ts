import { registryProblem } from '../../up/registry.js'
import type { Check, Finding } from '../check.js'

const TIMEOUT_MS = 10_000

/** The registry that images are published in answers, and lets the platform push. */
export const registry: Check = {
  name: 'registry',
  phase: 'host',
  async run({ registry: setting, home }): Promise<Finding> {
    if (setting === null) return { status: 'ok', detail: 'images are kept by the platform' }
    const problem = await registryProblem(setting, home, TIMEOUT_MS)
    if (problem === null) return { status: 'ok', detail: `images are published in ${setting.url}` }
    return {
      status: 'failed',
      detail: `images cannot be published in ${setting.url}: ${problem}`,
      remedy:
        'check the address and that the registry runs; credentials that may push go into --registry-credentials-file; ' +
        'or leave out --registry-url',
    }
  },
}
