import type { z } from 'zod'
import type { ApiClient } from './client/api-client.js'
import { configChangeShape } from './client/shapes.js'
import { waitForDeployment, type DeploymentEnd } from './deployment.js'
import { printJson, printLines } from './output.js'
import { appPath } from './verb.js'

export interface ConfigChange {
  set?: Record<string, string>
  unset?: string[]
  /** Who sees what is set; absent: whoever saw it before. */
  scope?: 'run' | 'build' | 'both' | undefined
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
    body: {
      set: change.set ?? {},
      unset: change.unset ?? [],
      ...(change.scope !== undefined && { scope: change.scope }),
    },
  })
  const end =
    result.deployment === null || change.isDetached
      ? null
      : await waitForDeployment(api, app, result.deployment, context.signal)
  if (context.isJson) printJson({ ...result, outcome: end })
  else printLines(sentenceOf(app, result, end))
}

function sentenceOf(
  app: string,
  { changed, forInstances, release }: z.infer<typeof configChangeShape>,
  end: DeploymentEnd | null,
): string {
  if (changed.length === 0) return 'Nothing changed.'
  const what = `${changed.join(', ')} ${changed.length === 1 ? 'is' : 'are'} changed`
  if (!forInstances) return `${what} for the next build.`
  if (release === null) return `${what}; the first release of ${app} will have them.`
  return end === null
    ? `${what} in v${release}, which is being deployed.`
    : `${what}; ${app} runs v${release} with them.`
}
