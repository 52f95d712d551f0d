import type { Buildpack, Target } from './buildpack.js'
import { fitsTarget } from './buildpack.js'
import { LifecycleError } from './errors.js'
import { parseBuildPlan } from './formats/build-plan-toml.js'
import type { Order } from './formats/order-toml.js'
import { expandOrder, type GroupEntry } from './order.js'
import { resolvePlan, type PlanElement, type PlanEntry } from './resolve-plan.js'

export interface DetectResult {
  exitCode: number
  /** Standard output and error together; shown only when it failed. */
  output: string
  /** What it wrote into its plan file. */
  plan: string
}

/** Runs one `bin/detect` where it may run: in the build container. */
export type RunDetect = (buildpack: Buildpack) => Promise<DetectResult>

export interface Detected {
  group: Buildpack[]
  entries: PlanEntry[]
}

const PASSED = 0
const FAILED = 100

/**
 * Tries the groups of the order until one passes and its plan resolves. Detects of a group run side by side, each once.
 * @throws LifecycleError `no-buildpack` when none passes, `buildpack` when none passes and one of them broke
 */
export async function detect(
  order: Order,
  buildpacks: readonly Buildpack[],
  target: Target,
  runDetect: RunDetect,
): Promise<Detected> {
  const find = (id: string, version: string | undefined): Buildpack | undefined =>
    buildpacks.find((one) => one.id === id && (version === undefined || one.version === version))
  const runs = new Map<string, Promise<DetectResult>>()
  const runOnce = (buildpack: Buildpack): Promise<DetectResult> => {
    const key = `${buildpack.id}@${buildpack.version}`
    const running = runs.get(key) ?? runDetect(buildpack)
    runs.set(key, running)
    return running
  }
  const broken = new Map<string, { buildpack: Buildpack; result: DetectResult }>()
  for (const group of expandOrder(order, (id, version) => find(id, version)?.toml)) {
    const results = await Promise.all(
      group.map(async (entry) => {
        const buildpack = find(entry.id, entry.version) as Buildpack
        if (!entry.isOptional && !fitsTarget(buildpack.toml, target)) return { entry, buildpack, result: null }
        const result = await runOnce(buildpack)
        if (result.exitCode !== PASSED && result.exitCode !== FAILED) broken.set(buildpack.id, { buildpack, result })
        return { entry, buildpack, result }
      }),
    )
    if (results.some(({ entry, result }) => !entry.isOptional && result?.exitCode !== PASSED)) continue
    const elements = results.flatMap(({ entry, buildpack, result }) =>
      result?.exitCode === PASSED ? [elementOf(entry, buildpack, result.plan)] : [],
    )
    const resolved = elements.length === 0 ? null : resolvePlan(elements)
    if (resolved !== null) {
      return {
        group: resolved.group.map(({ id, version }) => find(id, version) as Buildpack),
        entries: resolved.entries,
      }
    }
  }
  throw nothingPassed(buildpacks, [...broken.values()])
}

function elementOf(entry: GroupEntry, buildpack: Buildpack, plan: string): PlanElement {
  return {
    id: buildpack.id,
    version: buildpack.version,
    isOptional: entry.isOptional,
    options: parseBuildPlan(plan, `the build plan of ${buildpack.id}`),
  }
}

function nothingPassed(
  buildpacks: readonly Buildpack[],
  broken: readonly { buildpack: Buildpack; result: DetectResult }[],
): LifecycleError {
  const [first] = broken
  if (first !== undefined) {
    const said = first.result.output.trim().split('\n').at(-1) ?? ''
    return new LifecycleError(
      'buildpack',
      `bin/detect of ${first.buildpack.id} failed with exit code ${first.result.exitCode}${said === '' ? '' : `: ${said}`}`,
      'fix the buildpack, or name others in project.toml',
    )
  }
  const looked = buildpacks.flatMap(({ name, toml }) => {
    const file = toml.metadata?.croft?.['looks-for']
    return file === undefined ? [] : [`${file} (${name})`]
  })
  return new LifecycleError(
    'no-buildpack',
    `no buildpack matches this app: looked for ${looked.length === 0 ? 'nothing' : looked.join(', ')} in its top folder`,
    'commit one of these files in the top folder of the repository and push again',
  )
}
