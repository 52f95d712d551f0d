import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bareEnv, CommandFailed, CroftError, run } from '@croft/kit'
import { STACKS, stackOf } from '@croft/stacks'
import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printJson } from '../output.js'
import { checkoutFolder } from '../up/host-part.js'
import { DEFAULT_CACHE, parseFolder } from '../up/settings.js'
import { Steps } from '../up/steps.js'
import { UsageError } from '../usage.js'
import { homeOption, requireRoot } from './options.js'

/** Debian's archive may be slow. */
const TIMEOUT_MS = 30 * 60_000
const PROXIES = ['http_proxy', 'https_proxy', 'no_proxy']
const imageShape = z.looseObject({ diffId: z.string() })

/**
 * `croft stack:build STACK`: makes what a stack needs on this host (run image, package lists, build image) before the first push
 * would wait for it. All homes of the host share it; what is there already stays.
 */
export function register(program: Command): void {
  const command = program
    .command('stack:build')
    .description("make a stack's images on this host before a push needs them")
    .argument('<stack>', STACKS.map(({ id }) => id).join(', '))
    .option('--json', 'print JSON for scripts')
  homeOption(command).action(async (stack: string, options: { json?: boolean }) => {
    if (stackOf(stack) === undefined) {
      throw new UsageError(`there is no stack ${stack}`, `one of ${STACKS.map(({ id }) => id).join(', ')}`)
    }
    requireRoot('stack:build')
    const cache = parseFolder('CROFT_CACHE', process.env['CROFT_CACHE'] ?? DEFAULT_CACHE)
    const startedAt = performance.now()
    const steps = new Steps(options.json === true ? process.stderr : process.stdout)
    await steps.run(`Making the run image of ${stack}`, () => tool('base-image.sh', cache, stack))
    await steps.run("Fetching Debian's package lists", () => tool('package-lists.sh', cache, stack))
    await steps.run(`Making the build image of ${stack}`, () => tool('build-image.sh', cache, stack))
    if (options.json !== true) return
    const image = await readFile(join(cache, 'base', stack, 'current/image.json'), 'utf8')
    const { diffId } = imageShape.parse(JSON.parse(image))
    printJson({ stack, diffId, tookMs: Math.round(performance.now() - startedAt) })
  })
  examples(command, 'croft stack:build debian-13', 'croft stack:build debian-11 --json')
}

async function tool(name: string, cache: string, stack: string): Promise<void> {
  const proxies = PROXIES.flatMap((variable) => {
    const value = process.env[variable]
    return value === undefined ? [] : [[variable, value] as const]
  })
  try {
    await run(join(checkoutFolder(), 'tools', name), [cache, stack], {
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
