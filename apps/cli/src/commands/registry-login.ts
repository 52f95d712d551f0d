import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { z } from 'zod'
import { examples } from '../examples.js'
import { printJson, printLines, table } from '../output.js'
import { ago } from '../time-text.js'
import { UsageError } from '../usage.js'
import { platformVerb, withPlatform, type VerbOptions } from '../verb.js'

const registryShape = z.looseObject({ host: z.string(), username: z.string(), updatedAt: z.string() })

/** `croft registry`, `registry:login HOST`, `registry:logout HOST`: what the team pulls from foreign registries with. */
export function register(program: Command): void {
  const list = program.command('registry').description('list the foreign registries the team has credentials for')
  platformVerb(list).action((options: VerbOptions) =>
    withPlatform(options, async ({ api }) => {
      const registries = await api.call('GET', '/registries', z.array(registryShape))
      if (options.json === true) return printJson(registries)
      if (registries.length === 0) return printLines('No credentials for foreign registries: croft registry:login HOST')
      const rows = registries.map(({ host, username, updatedAt }) => [host, username, ago(updatedAt, Date.now())])
      printLines(...table(['HOST', 'USER', 'SET'], rows))
    }),
  )
  examples(list, 'croft registry')

  const login = program
    .command('registry:login')
    .description('store what the team pulls from a registry with; the password is read from standard input')
    .argument('<host>', 'e.g. docker.io, ghcr.io, registry.example:5000')
    .requiredOption('--username <name>', 'user name at that registry')
  platformVerb(login).action(async (host: string, options: VerbOptions & { username: string }) => {
    if (process.stdin.isTTY) {
      throw new UsageError(
        'the password is read from standard input',
        `croft registry:login ${host} --username U < password.txt`,
      )
    }
    const password = (await text(process.stdin)).replace(/\r?\n$/, '')
    await withPlatform(options, async ({ api }) => {
      await api.call('PUT', `/registries/${encodeURIComponent(host)}`, z.unknown(), {
        body: { username: options.username, password },
      })
      if (options.json === true) return printJson({ host, username: options.username })
      printLines(`Images of ${host} are pulled as ${options.username}.`)
    })
  })
  examples(login, 'croft registry:login ghcr.io --username deploy < password.txt')

  const logout = program
    .command('registry:logout')
    .description('forget the credentials for a registry')
    .argument('<host>', 'as in croft registry')
  platformVerb(logout).action((host: string, options: VerbOptions) =>
    withPlatform(options, async ({ api }) => {
      await api.call('DELETE', `/registries/${encodeURIComponent(host)}`, z.unknown())
      if (options.json === true) return printJson({ host })
      printLines(`The credentials for ${host} are forgotten.`)
    }),
  )
  examples(logout, 'croft registry:logout ghcr.io')
}
