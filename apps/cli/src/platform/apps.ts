import { CroftError } from '@croft/kit'
import { z } from 'zod'
import { ApiClient } from '../client/api-client.js'
import { psShape } from '../client/shapes.js'
import { readOperatorToken, type LocalPlatform } from './local-platform.js'

/** What the supervisor's commands ask a platform on this host about its apps, as its operator. */

const TIMEOUT_MS = 5_000

/** Names of all apps. @throws PlatformUnreachable */
export function appNames(platform: LocalPlatform): Promise<string[]> {
  return ask(platform, async (api) => {
    const apps = await api.call('GET', '/apps', z.array(z.object({ name: z.string() })), { timeoutMs: TIMEOUT_MS })
    return apps.map(({ name }) => name)
  })
}

/** Ids of an app's instances; none when there is no such app. @throws PlatformUnreachable */
export function instanceIds(platform: LocalPlatform, app: string): Promise<string[]> {
  return ask(platform, async (api) => {
    try {
      const instances = await api.call('GET', `/apps/${app}/ps`, z.array(psShape), { timeoutMs: TIMEOUT_MS })
      return instances.map(({ id }) => id)
    } catch (error) {
      if (error instanceof CroftError && error.status === 404) return []
      throw error
    }
  })
}

async function ask<T>(platform: LocalPlatform, question: (api: ApiClient) => Promise<T>): Promise<T> {
  const api = new ApiClient(platform.url, await readOperatorToken(platform.home))
  try {
    return await question(api)
  } finally {
    await api.close()
  }
}
