import type { Command } from 'commander'
import { z } from 'zod'
import { releaseInfoShape, releaseShape } from '../client/shapes.js'
import { examples } from '../examples.js'
import { printJson, printLines } from '../output.js'
import { appPath, appVerb, withApp, type VerbOptions } from '../verb.js'

/** `croft releases:info [vN]`: what a release runs. */
export function register(program: Command): void {
  const command = program
    .command('releases:info')
    .description('show a release: image, process types, names of its config vars; without a number the one that serves')
    .argument('[release]', 'e.g. v12')
  appVerb(command).action((wanted: string | undefined, options: VerbOptions) =>
    withApp(options, undefined, async ({ api, app }) => {
      const version = wanted ?? (await servingOrNewest(() => api.call('GET', appPath(app, '/releases'), list)))
      if (version === undefined) {
        return options.json === true ? printJson(null) : printLines(`${app} has no release yet: git push croft main`)
      }
      const path = appPath(app, `/releases/${encodeURIComponent(version)}`)
      const release = await api.call('GET', path, releaseInfoShape)
      if (options.json === true) return printJson(release)
      printLines(
        `release   v${release.version}${release.isCurrent ? ' (serves)' : ''}`,
        `status    ${release.status}`,
        ...(release.message === null ? [] : [`why       ${release.message}`]),
        `what      ${release.description}`,
        `who       ${release.author}`,
        `created   ${release.createdAt}`,
        `commit    ${release.commit ?? '-'}`,
        `image     ${release.image ?? '-'}`,
        `config    ${release.config.join(', ') || '-'}`,
        `formation ${
          Object.entries(release.formation)
            .map(([type, quantity]) => `${type}=${quantity}`)
            .join(' ') || '-'
        }`,
        ...Object.entries(release.processTypes).map(([type, line]) => `process   ${type}: ${line}`),
      )
    }),
  )
  examples(command, 'croft releases:info -a shop', 'croft releases:info v12 -a shop --json')
}

const list = z.array(releaseShape)

async function servingOrNewest(ask: () => Promise<z.infer<typeof list>>): Promise<string | undefined> {
  const releases = await ask()
  const release = releases.find(({ isCurrent }) => isCurrent) ?? releases[0]
  return release === undefined ? undefined : String(release.version)
}
