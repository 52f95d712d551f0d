import { join } from 'node:path'
import { start } from '@croft/kit'
import { DEFAULT_STACK } from '@croft/stacks'
import type { Command } from 'commander'
import { examples } from '../examples.js'
import { checkoutFolder } from '../up/host-part.js'
import { setUpHost } from '../up/set-up.js'
import { DEFAULT_CACHE } from '../up/settings.js'
import { stackTool } from '../stack/stack-tool.js'
import { Steps } from '../up/steps.js'
import { requireRoot } from './options.js'

/** `croft test`: the set-up of `up` and the default stack's build image, then the whole suite; closes with `N passed, N failed, N skipped`. */
export function register(program: Command): void {
  const command = program
    .command('test')
    .description('set up this host as `up` does and run the whole test suite')
    .argument('[filters...]', 'only test files whose path contains one of these')
    .option('--long', 'also the tests that take minutes')
    .action(async (filters: string[], options: { long?: boolean }) => {
      requireRoot('test')
      const cache = process.env['CROFT_CACHE'] ?? DEFAULT_CACHE
      const steps = new Steps()
      await setUpHost(cache, steps)
      // the first build of a test that needs compilers would wait for it
      await steps.quick(`Making the build image of ${DEFAULT_STACK}`, () =>
        stackTool('build-image.sh', cache, DEFAULT_STACK),
      )
      process.exitCode = await runVitest(filters, options.long === true)
    })
  examples(command, 'croft test', 'croft test --long', 'croft test libs/kit')
}

function runVitest(filters: readonly string[], isLong: boolean): Promise<number> {
  const checkout = checkoutFolder()
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const child = start(process.execPath, [join(checkout, 'node_modules/vitest/vitest.mjs'), 'run', ...filters], {
    cwd: checkout,
    stdio: 'inherit',
    env: {
      ...inherited,
      PATH: `${join(process.execPath, '..')}:${inherited['PATH'] ?? ''}`,
      ...(isLong && { CROFT_TEST_LONG: '1' }),
    },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}
