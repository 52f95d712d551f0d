import type { Command } from 'commander'
import { changeConfig } from '../config-change.js'
import { examples } from '../examples.js'
import { UsageError } from '../usage.js'
import { appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft config:set NAME=VALUE …`: one new release, no build; with `--build` for builds, and no release. */
export function register(program: Command): void {
  const command = program
    .command('config:set')
    .description('set config vars: one new release, without a build')
    .argument('<name=value...>', 'the config vars')
    .option('--build', 'builds see them and instances do not: no release')
    .option('--run', 'instances see them; with --build both do')
    .option('--detach', 'do not wait for the deployment')
  appVerb(command).action((pairs: string[], options: VerbOptions & Options) => {
    const set = parsePairs(pairs)
    return withApp(options, undefined, ({ api, app, signal }) =>
      changeConfig(
        api,
        app,
        { set, scope: scopeOf(options), isDetached: options.detach === true },
        { isJson: options.json === true, signal },
      ),
    )
  })
  examples(
    command,
    'croft config:set GREETING=hello -a shop',
    "croft config:set A=1 B='two words'",
    'croft config:set --build NPM_TOKEN=...',
  )
}

interface Options {
  build?: boolean
  run?: boolean
  detach?: boolean
}

/** Pure. */
function scopeOf({ build = false, run = false }: Options): 'run' | 'build' | 'both' | undefined {
  if (build && run) return 'both'
  return build ? 'build' : run ? 'run' : undefined
}

/** `NAME=VALUE` arguments as an object; the value is everything after the first `=`. @throws UsageError. Pure. */
export function parsePairs(pairs: readonly string[]): Record<string, string> {
  const set: Record<string, string> = {}
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at <= 0) {
      throw new UsageError(at === 0 ? 'a name is missing' : `${pair} has no value`, 'croft config:set NAME=VALUE')
    }
    set[pair.slice(0, at)] = pair.slice(at + 1)
  }
  return set
}
