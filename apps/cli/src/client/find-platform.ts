import { CroftError } from '@croft/kit'
import { DEFAULT_HOME, findLocalPlatform, readOperatorToken } from '../platform/local-platform.js'
import { UsageError } from '../usage.js'
import { ApiClient } from './api-client.js'

/** How a verb was told which platform is meant. */
export interface PlatformOptions {
  home?: string
}

/** Where a platform is and with what to ask it. */
export interface PlatformAddress {
  url: string
  token: string
  /** The options under which a later call of the CLI finds the same platform. */
  options: readonly string[]
}

/**
 * The platform a verb is about: `--home`, else CROFT_URL with CROFT_TOKEN, else CROFT_HOME, else the default home of this host.
 * @throws UsageError, CroftError `no-platform`
 */
export async function findPlatform(
  options: PlatformOptions,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<PlatformAddress> {
  const { CROFT_URL: url, CROFT_TOKEN: token } = env
  if (options.home === undefined && url !== undefined && url !== '') {
    if (token === undefined || token === '') {
      throw new UsageError('CROFT_URL is set, but CROFT_TOKEN is not', 'export CROFT_TOKEN=croft_…')
    }
    return { url: originOf(url), token, options: [] }
  }
  const home = options.home ?? (env['CROFT_HOME'] || DEFAULT_HOME)
  const platform = await findLocalPlatform(home)
  if (platform === undefined) {
    throw new CroftError({
      code: 'no-platform',
      status: 404,
      title: `no platform runs in ${home}`,
      suggestion: './croft up starts one; --home DIR names another; elsewhere set CROFT_URL and CROFT_TOKEN',
    })
  }
  return { url: platform.url, token: await readOperatorToken(home), options: ['--home', home] }
}

/** A client for that platform. */
export async function connectPlatform(options: PlatformOptions): Promise<ApiClient> {
  const { url, token } = await findPlatform(options)
  return new ApiClient(url, token)
}

function originOf(url: string): string {
  try {
    const parsed = new URL(url)
    if (parsed.protocol === 'http:' || parsed.protocol === 'https:') return parsed.origin
  } catch {
    // said below
  }
  throw new UsageError(`CROFT_URL is not a URL: ${url}`, 'export CROFT_URL=https://croft.example.org')
}
