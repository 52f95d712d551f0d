import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CroftError, messageOf } from '@croft/kit'
import { readSecret, UnusableFile } from '../garden/secrets.js'
import { hostCaOf, hostCertificates, readHostNpm } from './build-environment.js'
import type { RegistrySetting } from './settings.js'

/** `NAME:PASSWORD` out of a file that others may not read; empty without a file. @throws UnusableFile */
export async function readRegistryCredentials(setting: RegistrySetting | null): Promise<string> {
  const path = setting?.credentialsFile ?? null
  if (path === null) return ''
  const text = (await readSecret(path)).trim()
  if (!/^[^:\s]+:\S+$/.test(text))
    throw new UnusableFile(`${path} holds no NAME:PASSWORD`, `write one line: NAME:PASSWORD`)
  return text
}

/**
 * Why images cannot be published in a registry, or null: it is asked with the platform's credentials for what a push begins with.
 * @throws UnusableFile when the credentials cannot be read
 */
export async function registryProblem(
  setting: RegistrySetting,
  home: string,
  timeoutMs: number,
): Promise<string | null> {
  // not every verb speaks to registries
  const { ExternalRegistry, parseCredentials, proxySettings } = await import('./registry-client.js')
  const registry = new ExternalRegistry({
    url: setting.url,
    credentials: parseCredentials(await readRegistryCredentials(setting)),
    homeId: (await readFile(join(home, 'id'), 'utf8').catch(() => 'check')).trim(),
    timeouts: { answerMs: timeoutMs, idleMs: timeoutMs },
    certificates: async () => {
      const now = await hostCertificates(process.env, (await readHostNpm(process.env)).npm)
      return `${now}\n${await readFile(hostCaOf(home), 'utf8').catch(() => '')}`
    },
    proxies: async () => proxySettings((await readHostNpm(process.env)).proxyEnvironment),
  })
  try {
    await registry.check(AbortSignal.timeout(timeoutMs * 3))
    return null
  } catch (error) {
    if (!(error instanceof CroftError)) return `${registry.address} did not answer in time: ${messageOf(error)}`
    return error.detail === undefined ? error.title : `${error.title}: ${error.detail}`
  } finally {
    await registry.close()
  }
}
