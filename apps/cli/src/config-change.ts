import { CroftError } from '@croft/kit'
import { DEPLOYMENT_TIMEOUT_MS, type ApiClient } from './client/api-client.js'
import { configChangeShape } from './client/shapes.js'
import { printJson, printLines } from './output.js'
import { appPath } from './verb.js'

export interface ConfigChange {
  set?: Record<string, string>
  unset?: string[]
  /** Answers as soon as the release exists. */
  isDetached: boolean
}

/** Changes config vars and says what came of it; fails when the release they made could not be deployed. */
export async function changeConfig(
  api: ApiClient,
  app: string,
  change: ConfigChange,
  context: { isJson: boolean; signal: AbortSignal },
): Promise<void> {
  const result = await api.call('PATCH', appPath(app, '/config'), configChangeShape, {
    body: { set: change.set ?? {}, unset: change.unset ?? [], wait: !change.isDetached },
    timeoutMs: DEPLOYMENT_TIMEOUT_MS,
    signal: context.signal,
  })
  if (context.isJson) printJson(result)
  else printLines(sentenceOf(app, result.changed, result.release, result.outcome))
  if (result.outcome === 'failed' || result.outcome === 'canceled') {
    throw new CroftError({
      code: 'deployment-failed',
      status: 409,
      title: `v${result.release} was not deployed`,
      detail: 'the config vars are set, and the former release serves on without them',
      suggestion: `croft logs -a ${app} says what happened; setting them again makes a new release`,
    })
  }
}

function sentenceOf(app: string, changed: string[], release: number | null, outcome: string | null): string {
  if (changed.length === 0) return 'Nothing changed.'
  const what = `${changed.join(', ')} ${changed.length === 1 ? 'is' : 'are'} changed`
  if (release === null) return `${what}; the first release of ${app} will have them.`
  switch (outcome) {
    case 'succeeded':
      return `${what}; ${app} runs v${release} with them.`
    case null:
      return `${what} in v${release}, which is being deployed.`
    default:
      return `${what} in v${release}.`
  }
}
