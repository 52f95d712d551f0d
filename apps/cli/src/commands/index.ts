import type { Command } from 'commander'

/** A verb's file exports this: it adds its command (or commands) to the program. */
export type Register = (program: Command) => void

const verbs: readonly Register[] = []

/** Adds every verb there is. A new verb is a file here and a line in the list above. */
export function registerAll(program: Command): void {
  for (const register of verbs) register(program)
}
