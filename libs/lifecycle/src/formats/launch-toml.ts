import { PROCESS_TYPE, PROCESS_TYPE_RULE } from '@croft/kit'
import { z } from 'zod'
import { LifecycleError } from '../errors.js'
import { isPattern } from '../path-match.js'
import { apiAtLeast } from './buildpack-toml.js'
import { execEnvSchema } from './exec-env.js'
import { lineInToml, readToml } from './toml.js'

/** One process of the image. `command` holds at least the program. */
export interface LaunchProcess {
  type: string
  command: string[]
  args: string[]
  isDirect: boolean
  isDefault: boolean
  workingDirectory: string | null
  /** Environments it may be started in; empty: all. */
  execEnv: string[]
  /** Whether a user's arguments stand in place of `args` or behind them. */
  userArguments: 'replace' | 'append'
  /** Escaped or not: as in buildpack.toml. */
  buildpackId: string
}

/** Files of the app that become a layer of their own, as patterns below the app folder. */
export interface Slice {
  paths: string[]
}

export interface LaunchToml {
  processes: LaunchProcess[]
  labels: { key: string; value: string }[]
  slices: Slice[]
  /** What the buildpack meant but its API does not give, for the build log. */
  warnings: string[]
}

const type = z.string().regex(PROCESS_TYPE, PROCESS_TYPE_RULE)
const document = {
  labels: z.array(z.object({ key: z.string(), value: z.string() })).default([]),
  slices: z
    .array(z.object({ paths: z.array(z.string().refine(isPattern, 'is a malformed pattern')).default([]) }))
    .default([]),
  /** Before SBOM files; only checked. */
  bom: z.array(z.looseObject({ version: z.never('"version" belongs into metadata').optional() })).optional(),
}
const common = {
  type,
  args: z.array(z.string()).default([]),
  default: z.boolean().default(false),
  'working-dir': z.string().optional(),
  'exec-env': execEnvSchema,
}
const newSchema = z.object({
  ...document,
  processes: z
    .array(
      z.object({
        ...common,
        command: z.array(z.string(), 'a list of words since API 0.9').min(1, 'names no program'),
        direct: z.never('processes are always direct since API 0.9').optional(),
      }),
    )
    .default([]),
})
const oldSchema = z.object({
  ...document,
  processes: z
    .array(z.object({ ...common, command: z.string('one text before API 0.9'), direct: z.boolean().default(false) }))
    .default([]),
})

/** Reads `launch.toml` as the buildpack's API means it. @throws LifecycleError */
export function parseLaunchToml(text: string, buildpack: { id: string; api: string }): LaunchToml {
  const what = `launch.toml of ${buildpack.id}`
  const isNew = apiAtLeast(buildpack.api, 9)
  const hasWorkingDirectory = apiAtLeast(buildpack.api, 8)
  const read = isNew ? readToml(newSchema, text, what) : readToml(oldSchema, text, what)
  const warnings: string[] = []
  const processes = read.processes.map((process): LaunchProcess => {
    const workingDirectory = process['working-dir'] ?? null
    if (workingDirectory !== null && !hasWorkingDirectory) {
      warnings.push(`${what}: working-dir of "${process.type}" is ignored, buildpack API ${buildpack.api} has none`)
    }
    return {
      type: process.type,
      command: typeof process.command === 'string' ? [process.command] : process.command,
      args: process.args,
      isDirect: isNew || process.direct === true,
      isDefault: process.default,
      workingDirectory: hasWorkingDirectory ? workingDirectory : null,
      execEnv: process['exec-env'],
      userArguments: isNew ? 'replace' : 'append',
      buildpackId: buildpack.id,
    }
  })
  const [, second] = processes.flatMap(({ isDefault }, at) => (isDefault ? [at] : []))
  if (second !== undefined) {
    const line = lineInToml(text, ['processes', second]) ?? 1
    const title = `${what}, line ${line}: processes.${second}.default: has more than one default process`
    throw new LifecycleError('build', title, 'fix the buildpack that wrote it')
  }
  return { processes, labels: read.labels, slices: read.slices, warnings }
}
