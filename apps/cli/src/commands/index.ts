import type { Command } from 'commander'
import { register as buildpacks } from './buildpacks.js'
import { register as doctor } from './doctor.js'
import { register as down } from './down.js'
import { register as garden } from './garden.js'
import { platformVerbs } from './platform-verbs.js'
import { register as status } from './status.js'
import { register as test } from './test.js'
import { register as up } from './up.js'

/** A verb's file exports this: it adds its command (or commands) to the program. */
export type Register = (program: Command) => void

const verbs: readonly Register[] = [up, down, status, doctor, test, garden, buildpacks, ...platformVerbs]

/** Adds every verb there is. A new verb is a file here and a line in the list above. */
export function registerAll(program: Command): void {
  for (const register of verbs) register(program)
}
