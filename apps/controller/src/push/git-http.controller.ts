import type { Readable } from 'node:stream'
import { Controller, Get, Inject, Param, Post, Query, Req, Res } from '@nestjs/common'
import { CroftError, type Clock, type Logger } from '@croft/kit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { App } from '../app/app.entity.js'
import { checkAppName, isAppName } from '../app/app-name.js'
import { AppService } from '../app/app.service.js'
import { AppNotFound } from '../app/errors.js'
import { Policy } from '../auth/policy.js'
import { Who, type Principal } from '../auth/principal.js'
import { CLOCK, LOGGER } from '../tokens.js'
import { protocolOf, startService } from './git.js'
import { answer, bodyOf, chunksOf, drainBody, readHead } from './git-streams.js'
import { encodePacket, FLUSH } from './pkt-line.js'
import { parsePushOptions } from './push-options.js'
import { PushOutput } from './push-output.js'
import { PushService } from './push.service.js'
import { ReceiveHeadReader, type ReceiveHead } from './receive-head.js'
import { receivePack } from './receive-session.js'
import { promisedBytes } from './reception.js'
import { Receptions } from './receptions.js'
import { Receive } from './receive.js'
import { judgeRefs } from './ref-policy.js'
import type { Refusal } from './refusal.js'
import { hasSideBand, refusalReport } from './report.js'
import { MAX_PACK_BYTES, Repositories } from './repository.js'
import { named } from './text.js'

type Service = 'git-receive-pack' | 'git-upload-pack'

/** A fetch or clone may take so long, ms. */
const UPLOAD_PACK_MS = 60 * 60 * 1_000
const ADVERTISEMENT_MS = 30_000
/** A push may wait so long for others to be received, ms. */
const RECEPTION_WAIT_MS = 10 * 60 * 1_000

/**
 * git's smart HTTP at `/<app>.git`. Who may do what is decided before git is started; an app that does not exist and one of
 * another team are the same. Nothing is created before the commands of a push are known: neither a failed authentication, nor
 * `ls-remote`, nor `push --dry-run` makes an app.
 */
@Controller()
export class GitHttpController {
  constructor(
    @Inject(AppService) private readonly apps: AppService,
    @Inject(Repositories) private readonly repositories: Repositories,
    @Inject(PushService) private readonly pushes: PushService,
    @Inject(Receptions) private readonly receptions: Receptions,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** What the repository has: the first request of every fetch and push. */
  @Get(':repository/info/refs')
  @Policy('app:deploy')
  async advertise(
    @Who() who: Principal,
    @Param('repository') repository: string,
    @Query('service') wanted: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const name = appNameOf(repository)
    const service = serviceOf(wanted)
    const path = await this.#advertised(who, name, service)
    reply.hijack()
    reply.raw.writeHead(200, headers(reply, `application/x-${service}-advertisement`))
    reply.raw.write(Buffer.concat([encodePacket(`# service=${service}\n`), FLUSH]))
    const child = startService(shortName(service), path, {
      isAdvertisement: true,
      protocol: protocolOf(request.headers['git-protocol']),
    })
    await answer(child, reply, ADVERTISEMENT_MS)
  }

  /** Fetch and clone. */
  @Post(':repository/git-upload-pack')
  @Policy('app:deploy')
  async uploadPack(
    @Who() who: Principal,
    @Param('repository') repository: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const app = await this.apps.findInTeam(who.teamId, appNameOf(repository))
    const path = await this.repositories.ensure(app.repositoryId)
    reply.hijack()
    reply.raw.writeHead(200, headers(reply, 'application/x-git-upload-pack-result'))
    const child = startService('upload-pack', path, {
      isAdvertisement: false,
      protocol: protocolOf(request.headers['git-protocol']),
    })
    child.stdin?.on('error', () => undefined)
    if (child.stdin !== null)
      bodyOf(request)
        .on('error', () => child.stdin?.destroy())
        .pipe(child.stdin)
    await answer(child, reply, UPLOAD_PACK_MS)
  }

  /** A push. The answer is always 200: what became of it is in git's own report. */
  @Post(':repository/git-receive-pack')
  @Policy('app:deploy')
  async receive(
    @Who() who: Principal,
    @Param('repository') repository: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const name = appNameOf(repository)
    const gone = new AbortController()
    reply.raw.on('close', () => {
      if (!reply.raw.writableFinished) gone.abort(new Error('the client left'))
    })
    const body = bodyOf(request)
    const reader = new ReceiveHeadReader()
    const head = await readHead(body, reader, gone.signal)
    reply.hijack()
    reply.raw.writeHead(200, headers(reply, 'application/x-git-receive-pack-result'))
    const output = new PushOutput((bytes) => {
      if (!reply.raw.destroyed && !reply.raw.writableEnded) reply.raw.write(bytes)
    }, this.clock)
    try {
      // A flush and nothing else asks whether the credentials are good, before a large pack is sent.
      if (head.commands.length > 0)
        await this.#push(who, name, request, { head, reader, body, output, gone: gone.signal })
    } catch (error) {
      this.logger.error('push-broke', { app: name, requestId: request.id, error })
    } finally {
      output.stop()
      reply.raw.end()
    }
  }

  async #push(who: Principal, name: string, request: FastifyRequest, incoming: Incoming): Promise<void> {
    const { head, reader, body, output, gone } = incoming
    const refuse = async (refusals: ReadonlyMap<string, Refusal>): Promise<void> => {
      for (const refusal of new Set(refusals.values())) output.failure(refusal)
      await drainBody(body, gone)
      const whys = new Map([...refusals].map(([ref, refusal]) => [ref, refusal.reason]))
      const report = refusalReport(head, whys)
      output.send(hasSideBand(head) ? Buffer.concat([report, FLUSH]) : report)
    }
    const options = parsePushOptions(head.pushOptions)
    if (options.kind === 'refused') return refuse(sameFor(head, options.refusal))
    const verdicts = judgeRefs(head.commands, name)
    if (verdicts.every((verdict) => verdict.kind === 'refuse')) {
      return refuse(new Map(verdicts.map((verdict) => [verdict.command.ref, verdict.refusal])))
    }
    const prepared = await this.#prepare(who, name, options.options.team)
    if ('refusal' in prepared) return refuse(sameFor(head, prepared.refusal))
    const id = await this.pushes.newId()
    const isDetached = options.options.detach === true
    const receive = new Receive(
      {
        id,
        app: prepared.app,
        author: who.name,
        repository: prepared.repository,
        commands: head.commands,
        options: options.options,
        output,
        abandoned: isDetached ? new AbortController().signal : gone,
      },
      this.pushes,
    )
    gone.addEventListener('abort', () => output.mute(), { once: true })
    const begun = await this.#begin(prepared.app, request, output, gone)
    if ('refusal' in begun) return gone.aborted ? undefined : refuse(sameFor(head, begun.refusal))
    try {
      await receivePack({
        repository: prepared.repository,
        channelFolder: this.pushes.channelFolder(id),
        protocol: protocolOf(request.headers['git-protocol']),
        head,
        body: chunksOf(reader, body, () => output.keepWarm('-----> Preparing the build')),
        output,
        clientGone: gone,
        onHook: (question) => {
          begun.end() // git asks of what it has unpacked
          return receive.onHook(question)
        },
        whys: receive.whys,
        unsettled: receive.unsettled,
        logger: this.logger.child({ push: id, app: prepared.app.id }),
      })
    } finally {
      begun.end()
      if (receive.job !== undefined) await this.pushes.ended(receive.job)
    }
  }

  async #prepare(
    who: Principal,
    name: string,
    team: string | undefined,
  ): Promise<{ app: App; repository: string } | { refusal: Refusal }> {
    try {
      const { app } = await this.apps.ensureForPush(name, who, team)
      return { app, repository: await this.repositories.ensure(app.repositoryId) }
    } catch (error) {
      if (!(error instanceof CroftError) || error.kind !== 'user') throw error
      return { refusal: refusalOf(error) }
    }
  }

  /** Waits until its pack may be received, and says so. */
  async #begin(
    app: App,
    request: FastifyRequest,
    output: PushOutput,
    gone: AbortSignal,
  ): Promise<{ end: () => void } | { refusal: Refusal }> {
    const reception = { team: app.teamId, bytes: promisedBytes(request.headers, MAX_PACK_BYTES) }
    const onWait = (why: string): void => {
      output.step(`Waiting: ${why}`)
      output.keepWarm('-----> Preparing the build')
    }
    try {
      return { end: await this.receptions.begin(reception, { gone, waitMs: RECEPTION_WAIT_MS, onWait }) }
    } catch (error) {
      if (!(error instanceof CroftError)) throw error
      if (error.kind === 'system') this.logger.error('push-not-received', { app: app.id, error })
      return { refusal: refusalOf(error) }
    }
  }

  /** The repository whose refs are shown. A push to an app that is not there (or not ours) sees an empty one. */
  async #advertised(who: Principal, name: string, service: Service): Promise<string> {
    try {
      const app = await this.apps.findInTeam(who.teamId, name)
      return await this.repositories.ensure(app.repositoryId)
    } catch (error) {
      if (!(error instanceof AppNotFound) || service === 'git-upload-pack') throw error
      checkAppName(name)
      return this.repositories.empty
    }
  }
}

interface Incoming {
  head: ReceiveHead
  reader: ReceiveHeadReader
  body: Readable
  output: PushOutput
  gone: AbortSignal
}

/** A path that is no repository, and a service git does not have over HTTP. */
class NoSuchService extends CroftError {
  constructor() {
    super({
      code: 'git-service',
      status: 403,
      title: 'only smart HTTP is spoken here',
      suggestion: 'use git 1.6.6 or newer',
    })
  }
}

function appNameOf(repository: string): string {
  const name = /^(.+)\.git$/.exec(repository)?.[1]
  if (name === undefined || (!isAppName(name) && name.length > 60)) throw new AppNotFound(repository)
  return name
}

function serviceOf(wanted: unknown): Service {
  if (wanted === 'git-receive-pack' || wanted === 'git-upload-pack') return wanted
  throw new NoSuchService()
}

function shortName(service: Service): 'receive-pack' | 'upload-pack' {
  return service === 'git-receive-pack' ? 'receive-pack' : 'upload-pack'
}

/** The headers set so far (request id and the like) and those git wants. */
function headers(reply: FastifyReply, type: string): Record<string, string> {
  const set = Object.entries(reply.getHeaders()).map(([key, value]) => [key, String(value)])
  return {
    ...Object.fromEntries(set),
    'content-type': type,
    'cache-control': 'no-cache, max-age=0, must-revalidate',
    'x-accel-buffering': 'no',
  }
}

function refusalOf(error: CroftError): Refusal {
  return {
    reason: error.code,
    cause: named([error.title, error.detail].filter((part) => part !== undefined).join(': '), 200),
    suggestion: named(error.suggestion ?? 'correct it and push again', 200),
  }
}

function sameFor(head: ReceiveHead, refusal: Refusal): Map<string, Refusal> {
  return new Map(head.commands.map((command) => [command.ref, refusal]))
}
