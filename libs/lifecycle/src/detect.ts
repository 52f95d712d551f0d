import { fitsTarget, listsExecEnv, runsIn, type Buildpack, type Target } from './buildpack.js'
import { LifecycleError } from './errors.js'
import { parseBuildPlan, type PlanSections } from './formats/build-plan-toml.js'
import type { Order } from './formats/order-toml.js'
import { TomlProblem } from './formats/toml.js'
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

export interface DetectInput {
  order: Order
  buildpacks: readonly Buildpack[]
  target: Target
  /** Which execution environment is built for, `production`; empty: none is named. */
  execEnv: string
}

export interface Detected {
  group: Buildpack[]
  entries: PlanEntry[]
}

/** What came of one buildpack: `broke` with why, in words for its author. */
type Outcome =
  | { kind: 'passed'; options: PlanSections[] }
  | { kind: 'failed'; said: string }
  | { kind: 'broke'; why: string }

const PASSED = 0
const FAILED = 100

/**
 * Tries the groups of the order until one passes and its plan resolves. Detects of a group run side by side, each buildpack once; the
 * next group does not wait for the rest of one that cannot pass any more. When it is over, no detect runs.
 * @throws LifecycleError `no-buildpack` when none passes, `detect-broke` when none passes and one of a failed group broke
 */
export async function detect(input: DetectInput, runDetect: RunDetect): Promise<Detected> {
  const { buildpacks, execEnv } = input
  const find = (id: string, version: string | undefined): Buildpack | undefined =>
    buildpacks.find((one) => one.id === id && (version === undefined || one.version === version))
  const outcomes = new Outcomes(input.target, runDetect)
  const ofFailed: Promise<Outcome>[] = []
  const groups = expandOrder(
    input.order,
    (id, version) => find(id, version)?.toml,
    (toml, entry) => runsIn(toml, execEnv) && listsExecEnv(entry['exec-env'] ?? [], execEnv),
  )
  for (const group of groups) {
    const asked = group.map((entry) => {
      const buildpack = find(entry.id, entry.version) as Buildpack
      return { entry, buildpack, outcome: outcomes.of(buildpack, entry.isOptional) }
    })
    if (!(await allPass(asked.flatMap(({ entry, outcome }) => (entry.isOptional ? [] : [outcome]))))) {
      ofFailed.push(...asked.map(({ outcome }) => outcome))
      continue
    }
    const results = await Promise.all(asked.map(async (one) => ({ ...one, outcome: await one.outcome })))
    const elements = results.flatMap(({ entry, buildpack, outcome }) =>
      outcome.kind === 'passed' ? [elementOf(entry, buildpack, outcome.options)] : [],
    )
    const resolved = elements.length === 0 ? null : resolvePlan(elements)
    if (resolved === null) continue
    await outcomes.all()
    return {
      group: resolved.group.map(({ id, version }) => find(id, version) as Buildpack),
      entries: resolved.entries,
    }
  }
  const hasBroken = (await Promise.all(ofFailed)).some(({ kind }) => kind === 'broke')
  throw nothingPassed(await outcomes.all(), hasBroken)
}

/** Whether all of these pass, as soon as it is known. */
function allPass(outcomes: readonly Promise<Outcome>[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    for (const one of outcomes) one.then(({ kind }) => kind !== 'passed' && resolve(false), reject)
    Promise.all(outcomes).then(() => resolve(true), reject)
  })
}

function elementOf(entry: GroupEntry, { id, version }: Buildpack, options: PlanSections[]): PlanElement {
  return { id, version, isOptional: entry.isOptional, options }
}

/** What came of each buildpack so far; a buildpack is asked once. */
class Outcomes {
  readonly #runs = new Map<string, { buildpack: Buildpack; outcome: Promise<Outcome> }>()

  constructor(
    private readonly target: Target,
    private readonly runDetect: RunDetect,
  ) {}

  /** One that is made for another system is not asked, unless it is optional: then it may find out itself. */
  of(buildpack: Buildpack, isOptional: boolean): Promise<Outcome> {
    const key = `${buildpack.id}@${buildpack.version}`
    const known = this.#runs.get(key)?.outcome
    if (known !== undefined) return known
    const outcome =
      isOptional || fitsTarget(buildpack.toml, this.target)
        ? this.runDetect(buildpack).then(outcomeOf)
        : Promise.resolve<Outcome>({ kind: 'broke', why: `is not made for ${describeTarget(this.target)}` })
    outcome.catch(() => undefined) // whoever waits for it hears of it
    this.#runs.set(key, { buildpack, outcome })
    return outcome
  }

  async all(): Promise<{ buildpack: Buildpack; outcome: Outcome }[]> {
    return Promise.all(
      [...this.#runs.values()].map(async ({ buildpack, outcome }) => ({ buildpack, outcome: await outcome })),
    )
  }
}

function outcomeOf({ exitCode, output, plan }: DetectResult): Outcome {
  const said = (output.trim().split('\n').at(-1) ?? '').trim().slice(0, 200)
  if (exitCode === FAILED) return { kind: 'failed', said }
  if (exitCode !== PASSED) {
    return { kind: 'broke', why: `bin/detect failed with exit code ${exitCode}${said === '' ? '' : `: ${said}`}` }
  }
  try {
    return { kind: 'passed', options: parseBuildPlan(plan) }
  } catch (error) {
    if (!(error instanceof TomlProblem)) throw error
    return { kind: 'broke', why: `the build plan that bin/detect wrote, ${error.message}` }
  }
}

function describeTarget({ os, arch, distroName, distroVersion }: Target): string {
  return `${os}/${arch} ${distroName} ${distroVersion}`.trim()
}

function nothingPassed(
  asked: readonly { buildpack: Buildpack; outcome: Outcome }[],
  hasBroken: boolean,
): LifecycleError {
  const lines = asked.map(
    ({ buildpack, outcome }) => `${buildpack.id} ${buildpack.version}: ${reasonOf(buildpack, outcome)}`,
  )
  const [first] = asked.flatMap(({ buildpack, outcome }) =>
    outcome.kind === 'broke' ? [{ id: buildpack.id, why: outcome.why }] : [],
  )
  if (hasBroken && first !== undefined) {
    const title = `no buildpack matches this app, and ${first.id} broke: ${first.why}`
    return new LifecycleError('detect-broke', title, 'fix the buildpack, or name others in project.toml', { lines })
  }
  const looked = asked.flatMap(({ buildpack: { name, toml } }) => {
    const file = toml.metadata?.croft?.['looks-for']
    return file === undefined ? [] : [`${file} (${name})`]
  })
  const where = looked.length === 0 ? '' : `: looked for ${looked.join(', ')} in its top folder`
  return new LifecycleError(
    'no-buildpack',
    `no buildpack matches this app${where}`,
    looked.length === 0
      ? 'name a buildpack that fits in project.toml and push again'
      : 'commit one of these files in the top folder of the repository and push again',
    { lines },
  )
}

function reasonOf({ toml }: Buildpack, outcome: Outcome): string {
  if (outcome.kind === 'broke') return outcome.why
  if (outcome.kind === 'passed') return 'passed, but its group did not'
  const file = toml.metadata?.croft?.['looks-for']
  if (outcome.said !== '') return `did not match: ${outcome.said}`
  return file === undefined ? 'did not match' : `did not match: there is no ${file}`
}
