import { z } from 'zod'
import { LifecycleError } from '../errors.js'
import { apiAtLeast } from './buildpack-toml.js'
import { readToml } from './toml.js'

/** One process of the image. `command` holds at least the program; `args` are replaced by arguments a user gives. */
export interface LaunchProcess {
  type: string
  command: string[]
  args: string[]
  isDirect: boolean
  isDefault: boolean
  workingDirectory: string | null
  /** Escaped or not: as in buildpack.toml. */
  buildpackId: string
}

export interface LaunchToml {
  processes: LaunchProcess[]
  labels: { key: string; value: string }[]
}

const type = z
  .string()
  .regex(/^[A-Za-z0-9._-]+$/, 'a process type is made of letters, digits, dots, dashes and underscores')
const labels = z.array(z.object({ key: z.string(), value: z.string() })).default([])
const common = {
  type,
  args: z.array(z.string()).default([]),
  default: z.boolean().default(false),
  'working-dir': z.string().optional(),
}
const newSchema = z.object({
  processes: z
    .array(
      z.object({
        ...common,
        command: z.array(z.string()).min(1),
        direct: z.never('processes are always direct since API 0.9').optional(),
      }),
    )
    .default([]),
  labels,
})
const oldSchema = z.object({
  processes: z.array(z.object({ ...common, command: z.string(), direct: z.boolean().default(false) })).default([]),
  labels,
})

/** Reads `launch.toml` as the buildpack's API means it. @throws LifecycleError */
export function parseLaunchToml(text: string, buildpack: { id: string; api: string }): LaunchToml {
  const what = `launch.toml of ${buildpack.id}`
  const isNew = apiAtLeast(buildpack.api, 9)
  const document = isNew ? readToml(newSchema, text, what) : readToml(oldSchema, text, what)
  const processes = document.processes.map((process) => ({
    type: process.type,
    command: typeof process.command === 'string' ? [process.command] : process.command,
    args: process.args,
    isDirect: isNew || process.direct === true,
    isDefault: process.default,
    workingDirectory: process['working-dir'] ?? null,
    buildpackId: buildpack.id,
  }))
  if (processes.filter(({ isDefault }) => isDefault).length > 1) {
    throw new LifecycleError(
      'buildpack',
      `${what} has more than one default process`,
      'fix the buildpack that wrote it',
    )
  }
  return { processes, labels: document.labels }
}
