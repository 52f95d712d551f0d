import { Command } from 'commander'
import { version } from './version.js'

/** The command line with the verbs that are registered, nothing run yet. */
export function createProgram(register: (program: Command) => void): Command {
  const program = new Command('croft')
    .description('Croft: git push, and the app answers')
    .version(version, '-V, --version')
    .usage('VERB [options]')
    .helpCommand('help [verb]', 'show help for a verb')
    .addHelpText(
      'after',
      '\nEvery verb takes --help. `croft TOPIC VERB` is the same as `croft TOPIC:VERB`.' +
        '\nOn the host of a platform verbs find it by --home; elsewhere by CROFT_URL and CROFT_TOKEN.',
    )
    .showHelpAfterError('       try: croft --help')
    .configureHelp({ sortSubcommands: true })
  register(program)
  for (const command of program.commands) {
    command.copyInheritedSettings(program).showHelpAfterError(`       try: croft ${command.name()} --help`)
  }
  return program
}

/** The names and aliases of every registered verb. */
export function verbsOf(program: Command): ReadonlySet<string> {
  return new Set(program.commands.flatMap((command) => [command.name(), ...command.aliases()]))
}
