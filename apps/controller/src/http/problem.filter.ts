import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common'
import { CroftError, toProblem, type Logger, type Problem } from '@croft/kit'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** Every failure of the public HTTP leaves as an RFC 9457 problem document. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp()
    void problemReply(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>(), this.#logger)
  }
}

/** Answers a failure; what was unexpected is logged with its stack and leaks nothing but the request id. */
export function problemReply(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Logger,
): FastifyReply | undefined {
  const known = expected(error, request)
  const problem = toProblem(known, { instance: pathOf(request), requestId: request.id })
  const fields = { requestId: request.id, method: request.method, path: pathOf(request), status: problem.status }
  if (problem.status >= 500) logger.error('request-failed', { ...fields, error })
  else logger.debug('request-refused', { ...fields, code: problem.code })
  if (reply.sent || reply.raw.headersSent) {
    reply.raw.destroy()
    return undefined
  }
  if (problem.status === 401) reply.header('WWW-Authenticate', challengeOf(request))
  if (known instanceof CroftError && known.retryAfterS !== undefined) reply.header('Retry-After', known.retryAfterS)
  reply.status(problem.status)
  if (isGit(request)) return reply.type('text/plain; charset=utf-8').send(plainText(problem))
  return reply.type('application/problem+json').send(JSON.stringify(problem))
}

/** git shows a person the body of a refusal only when it is plain text. */
function isGit(request: FastifyRequest): boolean {
  return request.headers['user-agent']?.startsWith('git/') === true
}

function plainText(problem: Problem): string {
  const why = problem.detail === undefined ? problem.title : `${problem.title}: ${problem.detail}`
  const lines = [` !     ${why}`, ...(problem.suggestion === undefined ? [] : [` !     try: ${problem.suggestion}`])]
  return `${lines.join('\n')}\n !     request ${problem.requestId ?? ''}\n`
}

/** A path that leads nowhere. */
export class NothingHere extends CroftError {
  constructor(method: string, path: string) {
    super({ code: 'not-found', status: 404, title: 'there is nothing here', detail: `${method} ${path}` })
  }
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '/'
}

/** git and container tools ask for a password when challenged with Basic; API clients send bearer tokens. */
function challengeOf(request: FastifyRequest): string {
  return request.url.startsWith('/api/') ? 'Bearer realm="croft"' : 'Basic realm="croft", charset="UTF-8"'
}

/** The framework's own refusals in our terms. */
function expected(error: unknown, request: FastifyRequest): unknown {
  if (error instanceof CroftError) return error
  const status = statusOf(error)
  if (status === undefined || status >= 500) return error
  if (status === 404) return new NothingHere(request.method, pathOf(request))
  const [code, title] = FRAMEWORK_REFUSALS[status] ?? ['bad-request', 'the request is not understood']
  return new CroftError({ code, status, title, cause: error })
}

const FRAMEWORK_REFUSALS: Readonly<Record<number, readonly [code: string, title: string]>> = {
  400: ['bad-request', 'the body is not the JSON it claims to be'],
  405: ['method-not-allowed', 'this path does not take that method'],
  413: ['too-large', 'the body is larger than 1 MiB'],
  414: ['too-long', 'the path is too long'],
  415: ['unsupported-media-type', 'the API takes application/json'],
}

function statusOf(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus()
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined
  return typeof error.statusCode === 'number' ? error.statusCode : undefined
}
