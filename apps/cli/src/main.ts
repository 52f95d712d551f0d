import { errnoOf } from '@croft/kit'
import { CommanderError, type Command } from 'commander'
import { joinTopic } from './argv.js'
import { printError } from './output.js'
import { createProgram, verbsOf } from './program.js'
import { UsageError } from './usage.js'

/** Runs one command line and gives its exit code: 0 done, 1 failed, 2 typed wrongly; a verb may set `process.exitCode` itself. */
export async function main(args: readonly string[]): Promise<number> {
  const program = createProgram(await verbsFor(args))
  for (const command of [program, ...program.commands]) command.exitOverride()
  try {
    await program.parseAsync(joinTopic(args, verbsOf(program)), { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2 // commander has printed it
    printError(error, args.includes('--json'))
    return error instanceof UsageError ? 2 : 1
  }
}

/** Most of the program's start is the verbs of a platform: the container API by itself goes without, and is back sooner. */
async function verbsFor(args: readonly string[]): Promise<(program: Command) => void> {
  if (args[0] === 'garden') return (await import('./commands/garden.js')).register
  return (await import('./commands/index.js')).registerAll
}

/** Verbs that go on to their end when nobody reads what they say any more. */
const TO_THE_END: readonly string[] = ['up', 'down', 'test']

// whoever reads our output may have seen enough: `croft ps | head -1`
process.stdout.on('error', (error) => {
  if (errnoOf(error) !== 'EPIPE') throw error
  if (!TO_THE_END.includes(process.argv[2] ?? '')) process.exit(0)
})
process.exitCode = await main(process.argv.slice(2))
