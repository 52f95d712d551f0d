import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DEFAULT_STACK, STACKS, stackOf } from '@croft/stacks'
import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printJson } from '../output.js'
import { DEFAULT_CACHE, parseFolder } from '../up/settings.js'
import { stackTool } from '../stack/stack-tool.js'
import { Steps } from '../up/steps.js'
import { UsageError } from '../usage.js'
import { homeOption, requireRoot } from './options.js'

const imageShape = z.looseObject({ diffId: z.string() })

/**
 * `croft stack:build STACK`: makes what a stack needs on this host (run image, package lists, build image, for the default stack also
 * the image that builds Dockerfiles) before the first push would wait for it. All homes of the host share it; what is there already stays.
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
    await steps.run(`Making the run image of ${stack}`, () => stackTool('base-image.sh', cache, stack))
    await steps.run("Fetching Debian's package lists", () => stackTool('package-lists.sh', cache, stack))
    await steps.run(`Making the build image of ${stack}`, () => stackTool('build-image.sh', cache, stack))
    if (stack === DEFAULT_STACK) {
      await steps.run('Making the image that builds Dockerfiles', () =>
        stackTool('build-image.sh', cache, stack, '', 'dockerfile'),
      )
    }
    if (options.json !== true) return
    const image = await readFile(join(cache, 'base', stack, 'current/image.json'), 'utf8')
    const { diffId } = imageShape.parse(JSON.parse(image))
    printJson({ stack, diffId, tookMs: Math.round(performance.now() - startedAt) })
  })
  examples(command, 'croft stack:build debian-13', 'croft stack:build debian-11 --json')
}
