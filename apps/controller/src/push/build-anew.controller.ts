import type { OutgoingHttpHeaders } from 'node:http'
import { Body, Controller, Inject, Param, Post, Res } from '@nestjs/common'
import type { Clock } from '@croft/kit'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { Answers } from '../http/answers.js'
import { CLOCK } from '../tokens.js'
import { BuildAnew } from './build-anew.js'
import { PushOutput, type OutputForm } from './push-output.js'

const bodySchema = z.strictObject({
  /** Whether the build starts from what earlier ones kept. */
  cache: z.boolean().default(true),
  /** Whether it goes on when the client leaves; otherwise that cancels it. */
  detach: z.boolean().default(false),
})

/** One line of the answer: what a push would show, an empty one that keeps the connection warm, or the end. */
const progressSchema = z.union([
  z.object({ line: z.string() }),
  z.object({ outcome: z.literal('deployed'), release: z.int() }),
  z.object({ outcome: z.literal('refused'), reason: z.string(), cause: z.string(), suggestion: z.string() }),
])

const asJson = (value: z.infer<typeof progressSchema>): Buffer => Buffer.from(`${JSON.stringify(value)}\n`)
const JSON_LINES: OutputForm = {
  encode: (text) => asJson({ line: text.replace(/\n$/, '') }),
  keepAlive: Buffer.from('\n'),
}

@Controller('api/v1/apps/:app/builds')
export class BuildAnewController {
  constructor(
    @Inject(BuildAnew) private readonly anew: BuildAnew,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Builds and deploys once more what was pushed last; one JSON object a line, as it goes on. */
  @Post()
  @Policy('app:deploy')
  @Answers(progressSchema)
  async create(
    @Who() who: Principal,
    @Param('app') name: string,
    @Body({ schema: bodySchema }) body: z.infer<typeof bodySchema>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const prepared = await this.anew.prepare(who, name, !body.cache)
    const gone = new AbortController()
    reply.header('Cache-Control', 'no-store').header('X-Accel-Buffering', 'no').type('application/x-ndjson')
    reply.hijack()
    reply.raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders)
    const output = new PushOutput((bytes) => void reply.raw.write(bytes), this.clock, JSON_LINES)
    reply.raw.once('close', () => {
      output.mute()
      if (!body.detach && !reply.raw.writableFinished) gone.abort(new Error('the client left'))
    })
    output.keepWarm('-----> Preparing the build')
    const end = await this.anew.run(prepared, output, gone.signal)
    output.stop()
    if (!reply.raw.destroyed) reply.raw.end(asJson(end))
  }
}
