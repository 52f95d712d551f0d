import { Controller, Get, Inject, Param } from '@nestjs/common'
import type { Clock } from '@croft/kit'
import { DEFAULT_STACK, isExpired, STACKS, upstreamEnd, type Stack } from '@croft/stacks'
import { z } from 'zod'
import type { App } from '../app/app.entity.js'
import { AppService } from '../app/app.service.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { BuildService } from '../build/build.service.js'
import { Answers } from '../http/answers.js'
import { ReleaseService } from '../release/release.service.js'
import { CLOCK } from '../tokens.js'

const runtimeSchema = z.object({
  /** Release line, e.g. `8.2`. */
  version: z.string(),
  /** The last day on which its makers mend security faults; the distribution does to the end of the stack. */
  upstreamEnd: z.iso.date().nullable(),
})

/** A stack as the API shows it. */
export const stackSchema = z.object({
  id: z.string(),
  /** `Debian 12`. */
  name: z.string(),
  /** The last day with security fixes. */
  endOfSupport: z.iso.date(),
  isExpired: z.boolean(),
  /** Whether apps that ask for no version are built on it. */
  isDefault: z.boolean(),
  runtimes: z.object({ php: runtimeSchema, ruby: runtimeSchema, python: runtimeSchema }),
})
export const appStackSchema = stackSchema.extend({
  /** Whether `stack:set` chose it for the app. */
  isPinned: z.boolean(),
  /** Whether the app's present release stands on it. */
  isCurrent: z.boolean(),
})

@Controller('api/v1')
export class StackController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(BuildService) private readonly builds: BuildService,
    @Inject(ReleaseService) private readonly releases: ReleaseService,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Get('stacks')
  @Policy('signed-in')
  @Answers(z.array(stackSchema))
  list(): z.infer<typeof stackSchema>[] {
    return STACKS.map((stack) => viewOf(stack, this.#today()))
  }

  /** All of them, and which is the app's. */
  @Get('apps/:app/stacks')
  @Policy('app:read')
  @Answers(z.array(appStackSchema))
  async ofApp(@Who() who: Principal, @Param('app') name: string): Promise<z.infer<typeof appStackSchema>[]> {
    const app = await this.apps.findInTeam(who.teamId, name)
    const current = await this.#currentOf(app)
    return STACKS.map((stack) => ({
      ...viewOf(stack, this.#today()),
      isPinned: app.settings.stack === stack.id,
      isCurrent: current === stack.id,
    }))
  }

  async #currentOf(app: App): Promise<string | null> {
    const release = await this.releases.current(app)
    if (release === null || release.image === null) return null
    const build = await this.builds.ofImage(app.id, release.image)
    if (build?.result?.outcome !== 'succeeded') return build?.stack ?? null
    return build.result.builder === 'dockerfile' || build.result.builderImage !== undefined ? null : build.stack
  }

  #today(): string {
    return new Date(this.clock.now()).toISOString().slice(0, 'YYYY-MM-DD'.length)
  }
}

function viewOf(stack: Stack, today: string): z.infer<typeof stackSchema> {
  const { id, name, endOfSupport, runtimes } = stack
  const runtime = (which: keyof Stack['runtimes']): z.infer<typeof runtimeSchema> => ({
    version: runtimes[which],
    upstreamEnd: upstreamEnd(stack, which) ?? null,
  })
  return {
    id,
    name,
    endOfSupport,
    isExpired: isExpired(stack, today),
    isDefault: id === DEFAULT_STACK,
    runtimes: { php: runtime('php'), ruby: runtime('ruby'), python: runtime('python') },
  }
}
