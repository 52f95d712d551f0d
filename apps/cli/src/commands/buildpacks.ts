import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { AddedBuildpack } from '@croft/protocol'
import { addBuildpacks, listAdded, removeAdded } from '../buildpacks/added.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { homeOf, homeOption, requireRoot } from './options.js'

interface Options {
  home?: string
  json?: boolean
  team?: string[]
}

/** `croft buildpacks`, `buildpacks:add`, `buildpacks:remove`: what operators give apps beside Croft's own buildpacks. */
export function register(program: Command): void {
  const list = program
    .command('buildpacks')
    .description('list the buildpacks that were added to this platform, and who may use them')
    .option('--json', 'print JSON for scripts')
    .action(async (options: Options) => {
      print(await listAdded(homeOf(options)), options)
    })
  const add = program
    .command('buildpacks:add')
    .description('add a Cloud Native Buildpack; apps name it by its id')
    .argument('<source>', 'a folder, an archive (.tar, .tgz, .tar.zst, .cnb) or an image in the OCI layout')
    .option('--team <name...>', 'only apps of these teams may use it')
    .option('--json', 'print JSON for scripts')
    .action(async (source: string, options: Options) => {
      requireRoot('buildpacks:add')
      print(await addBuildpacks(homeOf(options), resolve(source), options.team ?? [], new Date()), options)
    })
  const remove = program
    .command('buildpacks:remove')
    .description('take an added buildpack away; images that it built stay')
    .argument('<id@version>', 'as croft buildpacks lists it')
    .option('--json', 'print JSON for scripts')
    .action(async (name: string, options: Options) => {
      requireRoot('buildpacks:remove')
      print([await removeAdded(homeOf(options), name)], options)
    })
  for (const command of [list, add, remove]) homeOption(command)
  examples(list, 'croft buildpacks')
  examples(add, 'croft buildpacks:add ./my-buildpack', 'croft buildpacks:add hello.tgz --team web')
  examples(remove, 'croft buildpacks:remove samples/hello@0.0.1')
}

function print(added: readonly AddedBuildpack[], options: Options): void {
  if (options.json === true) return printJson(added)
  if (added.length === 0) return printLines('none was added; croft buildpacks:add SOURCE adds one')
  printLines(
    ...added.map(({ id, version, digest, teams }) => {
      const who = teams === null ? 'all teams' : `teams ${teams.join(', ')}`
      return `${`${id}@${version}`.padEnd(40)}  ${digest.slice(0, 'sha256:'.length + 12)}  ${who}`
    }),
  )
}
