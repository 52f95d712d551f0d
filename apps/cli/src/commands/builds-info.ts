import type { Command } from 'commander'
import { z } from 'zod'
import { buildShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines, table } from '../output.js'
import { plainText } from '../plain-text.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft builds:info [BUILD]`: a build and its whole log. */
export function register(program: Command): void {
  const command = program
    .command('builds:info')
    .description('show a build and its log; without an id the newest one')
    .argument('[build]', 'id of the build')
  appVerb(command).action((id: string | undefined, options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      const build =
        id === undefined
          ? (await api.call('GET', appPath(app, '/builds'), z.array(buildShape)))[0]
          : await api.call('GET', appPath(app, `/builds/${encodeURIComponent(id)}`), buildShape)
      if (build === undefined) return options.json === true ? printJson(null) : printLines(`${app} has no build yet.`)
      const log: string[] = []
      for await (const line of api.lines(appPath(app, `/builds/${build.id}/logs`))) log.push(line)
      if (options.json === true) return printJson({ ...build, log })
      printLines(
        `build     ${build.id}`,
        `state     ${build.state}${build.reason === null ? '' : ` (${build.reason})`}`,
        `commit    ${build.commit}`,
        `image     ${build.image ?? '-'}`,
        ...builderLines(build.builder ?? null),
        ...(build.buildpacks ?? []).map(
          ({ id, version, origin }) => `built by  ${id} ${version}${origin === null ? '' : ` (${origin})`}`,
        ),
        `created   ${build.createdAt}`,
        `ended     ${build.endedAt ?? '-'}`,
        ...(build.message === null ? [] : [`why       ${build.message}`]),
        ...(build.suggestion === null ? [] : [`try       ${build.suggestion}`]),
        ...(build.record === undefined || build.record === null ? [] : recordLines(build.record)),
        '',
        ...log.map(plainText),
      )
    }),
  )
  examples(command, 'croft builds:info -a shop', 'croft builds:info 0193…  -a shop --json')
}

function builderLines(builder: z.infer<typeof buildShape>['builder'] | null): string[] {
  if (builder === null || builder === undefined) return []
  const { reference, digest, runImage } = builder
  return [`builder   ${reference} (${digest})`, `stands on ${runImage.reference} (${runImage.digest})`]
}

/** How long each step took, and the layers from the stack up. */
function recordLines(record: NonNullable<z.infer<typeof buildShape>['record']>): string[] {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
  return [
    '',
    ...table(
      ['STEP', 'TOOK'],
      record.steps.map(({ name, tookMs }) => [plainText(name), seconds(tookMs)]),
    ),
    '',
    ...table(
      ['LAYER', 'SIZE', ''],
      record.layers.map(({ name, bytes, isNew }) => [plainText(name), megabytes(bytes), isNew ? 'new' : '']),
    ),
  ]
}
