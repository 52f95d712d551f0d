import type { Command } from 'commander'

/** Adds the keys of a verb that takes `KEY=VALUE` below its help: each as it is typed, and what it means, with unit and default. */
export function keysHelp(command: Command, keys: readonly (readonly [typed: string, meaning: string])[]): Command {
  const width = Math.max(...keys.map(([typed]) => typed.length))
  return command.addHelpText(
    'after',
    `\nKeys:\n${keys.map(([typed, meaning]) => `  ${typed.padEnd(width)}  ${meaning}`).join('\n')}`,
  )
}
