import type { OutgoingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Controller, Get, Inject, Param, Query, Res } from '@nestjs/common'
import type { FastifyReply } from 'fastify'
import type { LogLine } from '@croft/protocol'
import { z } from 'zod'
import { PROCESS_TYPE, PROCESS_TYPE_RULE } from '@croft/kit'
import { AppService } from '../app/app.service.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { LogService } from './log.service.js'

const flag = z
  .enum(['0', '1', 'true', 'false', ''])
  .default('0')
  .transform((value) => value !== '0' && value !== 'false')

const querySchema = z.object({
  /** How many of the newest kept lines come first. */
  lines: z.coerce.number().int().min(0).max(10_000).default(100),
  /** Whether what comes next is sent too, until the client leaves. */
  follow: flag,
  /** Only this instance (`web.1`) or process type (`web`). */
  instance: z
    .string()
    .refine((name) => PROCESS_TYPE.test(name.replace(/\.\d{1,5}$/, '')), PROCESS_TYPE_RULE)
    .optional(),
})

@Controller('api/v1/apps/:app/logs')
export class LogController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(LogService) private readonly logs: LogService,
  ) {}

  /** One JSON object a line: `{at, instance, stream, line}`. */
  @Get()
  @Policy('log:read')
  async read(
    @Who() principal: Principal,
    @Param('app') name: string,
    @Query({ schema: querySchema }) query: z.infer<typeof querySchema>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const app = await this.apps.findInTeam(principal.teamId, name)
    const log = await this.logs.open(app, {
      lines: query.lines,
      isFollowing: query.follow,
      filter: query.instance ?? null,
    })
    // Headers go out at once: a reader that follows a silent app must know that it is followed.
    reply.header('Cache-Control', 'no-store').header('X-Accel-Buffering', 'no').type('application/x-ndjson')
    reply.hijack()
    reply.raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders)
    reply.raw.flushHeaders()
    reply.raw.once('close', () => void log.close().catch(() => undefined)) // its stream is gone either way
    // A reader that leaves is no failure, and nobody is left to be told of another one.
    await pipeline(Readable.from(asText(log.lines), { objectMode: false }), reply.raw).catch(() => undefined)
    await log.close()
  }
}

async function* asText(lines: AsyncIterable<LogLine>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`
}
