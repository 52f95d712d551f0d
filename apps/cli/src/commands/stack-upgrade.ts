import { existsSync } from 'node:fs'
import { readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceLink } from '@croft/kit'
import { STACKS, stackOf } from '@croft/stacks'
import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { packageChanges, type PackageChanges } from '../stack/package-changes.js'
import { stackTool } from '../stack/stack-tool.js'
import { DEFAULT_CACHE, parseFolder } from '../up/settings.js'
import { Steps } from '../up/steps.js'
import { UsageError } from '../usage.js'
import { homeOf, homeOption, requireRoot } from './options.js'

const imageShape = z.looseObject({
  diffId: z.string(),
  labels: z.record(z.string(), z.string()),
})
type Image = z.infer<typeof imageShape>

/**
 * `croft stack:upgrade STACK`: makes a stack's run image of the packages that Debian has now, and puts this home on it: builds at
 * once, running apps when they are rebased or pushed. Other homes of the host stay where they are.
 */
export function register(program: Command): void {
  const command = program
    .command('stack:upgrade')
    .description("make a stack's run image anew from Debian's present packages, for builds and rebases from now on")
    .argument('<stack>', STACKS.map(({ id }) => id).join(', '))
    .option('--json', 'print JSON for scripts')
  homeOption(command).action(async (stack: string, options: { home?: string; json?: boolean }) => {
    if (stackOf(stack) === undefined) {
      throw new UsageError(`there is no stack ${stack}`, `one of ${STACKS.map(({ id }) => id).join(', ')}`)
    }
    requireRoot('stack:upgrade')
    const node = join(homeOf(options), 'node')
    if (!existsSync(node)) throw new UsageError(`there is no platform in ${homeOf(options)}`, 'croft up, or --home DIR')
    const cache = parseFolder('CROFT_CACHE', process.env['CROFT_CACHE'] ?? DEFAULT_CACHE)
    const images = join(cache, 'base', stack)
    const pin = join(node, 'stacks', stack)
    const former = await imageIn(images, await readlink(pin).catch(() => 'current'))
    const steps = new Steps(options.json === true ? process.stderr : process.stdout)
    await steps.run(`Making the run image of ${stack}`, () => stackTool('base-image.sh', cache, stack, '--anew'))
    const now = await imageIn(images, 'current')
    if (now === null) throw new Error(`${images}/current is not there`)
    const hadCompilers = former !== null && existsSync(join(images, `${hexOf(former)}.build`))
    if (hadCompilers) {
      await steps.run(`Making the build image of ${stack}`, () => stackTool('build-image.sh', cache, stack, hexOf(now)))
    }
    await replaceLink(pin, hexOf(now)) // the home's executor reads it at every build
    const changes = packageChanges(packagesOf(former), packagesOf(now))
    if (options.json === true) {
      return printJson({ stack, diffId: now.diffId, former: former?.diffId ?? null, packages: changes })
    }
    printLines(...told(stack, former, now, changes))
  })
  examples(command, 'croft stack:upgrade debian-12', 'croft stack:upgrade debian-12 --json')
}

const hexOf = ({ diffId }: Image): string => diffId.slice('sha256:'.length)
const packagesOf = (image: Image | null): string => image?.labels['io.croft.base.packages'] ?? ''

async function imageIn(images: string, name: string): Promise<Image | null> {
  const text = await readFile(join(images, name, 'image.json'), 'utf8').catch(() => null)
  return text === null ? null : imageShape.parse(JSON.parse(text))
}

function told(stack: string, former: Image | null, now: Image, { changed, added, removed }: PackageChanges): string[] {
  const short = ({ diffId }: Image): string => diffId.slice(0, 'sha256:'.length + 12)
  const debian = now.labels['io.buildpacks.base.description'] ?? stack
  if (former?.diffId === now.diffId) return [`${stack} is up to date: ${debian}, ${short(now)}`]
  const was = former === null ? '' : ` (was ${short(former)})`
  return [
    `${stack} is now ${debian}, ${short(now)}${was}`,
    ...changed.map(({ name, from, to }) => `       ${name} ${from} -> ${to}`),
    ...added.map((name) => `       ${name} is new`),
    ...removed.map((name) => `       ${name} is gone`),
    'Builds stand on it from now on; `croft rebase -a APP` puts it under an app that runs.',
  ]
}
