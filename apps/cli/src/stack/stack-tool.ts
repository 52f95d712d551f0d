import { join } from 'node:path'
import { bareEnv, CommandFailed, CroftError, run } from '@croft/kit'
import { checkoutFolder } from '../up/host-part.js'

/** Debian's archive may be slow. */
const TIMEOUT_MS = 30 * 60_000
const PROXIES = ['http_proxy', 'https_proxy', 'no_proxy']

/**
 * Runs one of the programs in `tools/` that make a stack's images below the cache; what is there already stays.
 * @throws CroftError `stack-failed` with what the program said
 */
export async function stackTool(
  name: 'base-image.sh' | 'package-lists.sh' | 'build-image.sh',
  cache: string,
  ...args: string[]
): Promise<void> {
  const proxies = PROXIES.flatMap((variable) => {
    const value = process.env[variable]
    return value === undefined ? [] : [[variable, value] as const]
  })
  try {
    await run(join(checkoutFolder(), 'tools', name), [cache, ...args], {
      env: bareEnv({ HOME: '/root', ...Object.fromEntries(proxies) }),
      timeoutMs: TIMEOUT_MS,
    })
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    const title = /^croft: (.+)$/m.exec(error.stderr)?.[1] ?? error.title
    const suggestion = /^ +try: (.+)$/m.exec(error.stderr)?.[1] ?? 'look at what it says with CROFT_DEBUG=1'
    throw new CroftError({ code: 'stack-failed', status: 503, title, suggestion, cause: error })
  }
}
