import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { findPlatform } from '../client/find-platform.js'
import { credentialAnswer, parseAttributes } from '../credential.js'

/** `croft git:credential get`: what git asks for a password; for git only, so help does not list it. */
export function register(program: Command): void {
  program
    .command('git:credential', { hidden: true })
    .description('answer git as its credential helper')
    .argument('<operation>', 'get, store or erase')
    .option('--home <dir>', 'home of a platform on this host')
    .action(async (operation: string, options: { home?: string }) => {
      if (operation !== 'get') return // nothing is kept, so nothing is stored or erased
      const asked = parseAttributes(await text(process.stdin))
      process.stdout.write(credentialAnswer(asked, await findPlatform(options)))
    })
}
