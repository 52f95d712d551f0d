import type { PushId } from '@croft/kit'
import { checkSource } from './source-check.js'
import type { App } from '../app/app.entity.js'
import type { HookQuestion } from './hook-channel.js'
import type { PushOptions } from './push-options.js'
import type { PushOutput } from './push-output.js'
import type { PushJob } from './push-job.js'
import type { PushService } from './push.service.js'
import type { RefCommand } from './receive-head.js'
import { judgeRefs, type RefVerdict } from './ref-policy.js'
import { PushRefused } from './refusal.js'

/** A quarantine is a folder git made inside the repository's objects; nothing else becomes part of an environment. */
const QUARANTINE = /^(?:.*\/)?(tmp_objdir-incoming-[A-Za-z0-9]+)$/

export interface Receiving {
  id: PushId
  app: App
  author: string
  repository: string
  commands: readonly RefCommand[]
  options: PushOptions
  output: PushOutput
  abandoned: AbortSignal
}

/**
 * Answers the hooks of one push: `pre-receive` checks what came and writes the row, `update` builds and deploys, `committed`
 * makes the moved ref last. `whys` collects the short reasons for git's summary.
 */
export class Receive {
  readonly whys = new Map<string, string>()
  /** Refs that moved but could not be made to last, and why. */
  readonly unsettled = new Map<string, string>()
  readonly #verdicts: Map<string, RefVerdict>
  #job: PushJob | undefined

  constructor(
    private readonly receiving: Receiving,
    private readonly pushes: PushService,
  ) {
    const verdicts = judgeRefs(receiving.commands, receiving.app.name)
    this.#verdicts = new Map(verdicts.map((verdict) => [verdict.command.ref, verdict]))
    for (const verdict of verdicts) {
      if (verdict.kind === 'refuse') this.whys.set(verdict.command.ref, verdict.refusal.reason)
    }
  }

  /** The push that came to have a row, for its end. */
  get job(): PushJob | undefined {
    return this.#job
  }

  async onHook(question: HookQuestion): Promise<boolean> {
    switch (question.hook) {
      case 'pre-receive':
        return this.#preReceive(question.argument)
      case 'update':
        return this.#update(question.lines[0] ?? '')
      case 'committed':
        return this.#committed(question.argument === 'synced')
      default:
        return false
    }
  }

  async #preReceive(quarantine: string): Promise<boolean> {
    const { receiving } = this
    for (const verdict of this.#verdicts.values()) {
      if (verdict.kind === 'refuse') receiving.output.failure(verdict.refusal)
    }
    const deployed = [...this.#verdicts.values()].find((verdict) => verdict.kind === 'deploy')
    if (deployed === undefined) return false
    const { command } = deployed
    try {
      const { repository, app } = receiving
      const env = this.#quarantineEnv(quarantine)
      const source = await checkSource(repository, command.newValue, app.settings.sourceDir ?? null, env)
      const build = receiving.options.rebuild === true ? 'clean' : 'if-needed'
      const job: PushJob = { ...receiving, command, build, ...source }
      await this.pushes.received(job)
      this.#job = job
      return true
    } catch (error) {
      const refusal = this.pushes.refusalOf(receiving, error)
      receiving.output.failure(refusal)
      for (const ref of this.#verdicts.keys()) this.whys.set(ref, SHORT[refusal.reason] ?? refusal.reason)
      return false
    }
  }

  async #update(line: string): Promise<boolean> {
    const [oldValue, newValue, ref = ''] = line.split(' ')
    const job = this.#job
    const isOurs =
      job !== undefined &&
      ref === job.command.ref &&
      oldValue === job.command.oldValue &&
      newValue === job.command.newValue
    if (!isOurs) return false
    try {
      await this.pushes.deploy(job)
      return true
    } catch (error) {
      if (error instanceof PushRefused) this.whys.set(ref, SHORT[error.refusal.reason] ?? error.refusal.reason)
      return false
    }
  }

  async #committed(isSynced: boolean): Promise<boolean> {
    if (this.#job === undefined) return true
    try {
      await this.pushes.committed(this.#job, isSynced)
      return true
    } catch (error) {
      // The ref moved, but nobody can say that it lasts: git's `ok` must not reach the client.
      const refusal = this.pushes.refusalOf(this.#job, error)
      this.#job.output.failure(refusal)
      this.unsettled.set(this.#job.command.ref, SHORT[refusal.reason] ?? refusal.reason)
      return false
    }
  }

  /** Lets git read objects that wait in the quarantine; none without new objects. */
  #quarantineEnv(quarantine: string): Record<string, string> {
    const name = QUARANTINE.exec(quarantine)?.[1]
    if (name === undefined) return {}
    const objects = `${this.receiving.repository}/objects`
    return { GIT_OBJECT_DIRECTORY: `${objects}/${name}`, GIT_ALTERNATE_OBJECT_DIRECTORIES: objects }
  }
}

/** Reasons as they read in `! [remote rejected] main -> main (…)`. */
const SHORT: Readonly<Record<string, string>> = {
  stale: 'fetch first',
  superseded: 'superseded by a newer push',
  deployment: 'deployment failed, the former release serves',
  buildpack: 'build failed',
  'no-buildpack': 'no buildpack matches',
  source: 'source could not be read',
  stack: 'no stack for it',
  'stack-expired': 'its stack is expired',
  export: 'image could not be made',
  registry: 'image could not be stored',
  timeout: 'build timed out',
  'out-of-memory': 'build ran out of memory',
  interrupted: 'build was interrupted',
  internal: 'internal error',
  canceled: 'canceled',
}
