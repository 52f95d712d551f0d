import { request } from 'node:http'
import { CroftError } from '@croft/kit'
import { z } from 'zod'
import { readOperatorToken, type LocalPlatform } from './local-platform.js'
import { lookup } from './loopback.js'

const TIMEOUT_MS = 10_000

/** The platform of a home does not answer. */
export class PlatformSilent extends CroftError {
  constructor(url: string, cause: unknown) {
    super({ code: 'platform-silent', status: 503, title: `the platform at ${url} does not answer`, suggestion: './croft status', cause })
  }
}

/** GET from the API of a platform on this host, as its operator, parsed by `schema`. @throws PlatformSilent */
export async function getAsOperator<T>(platform: LocalPlatform, path: string, schema: z.ZodType<T>): Promise<T> {
  const token = await readOperatorToken(platform.home)
  const url = new URL(`/api/v1${path}`, platform.url)
  const body = await new Promise<string>((resolve, reject) => {
    const silent = (cause: unknown): void => reject(new PlatformSilent(platform.url, cause))
    const asked = request(url, { headers: { authorization: `Bearer ${token}` }, lookup, timeout: TIMEOUT_MS, agent: false }, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('error', silent)
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(Buffer.concat(parts).toString('utf8'))
        else silent(new Error(`status ${answer.statusCode}`))
      })
    })
    asked.once('timeout', () => asked.destroy(new Error('time-out')))
    asked.once('error', silent)
    asked.end()
  })
  return schema.parse(JSON.parse(body))
}

/** Names of the apps of a platform on this host. @throws PlatformSilent */
export async function appNames(platform: LocalPlatform): Promise<string[]> {
  const apps = await getAsOperator(platform, '/apps', z.array(z.object({ name: z.string() })))
  return apps.map(({ name }) => name)
}
