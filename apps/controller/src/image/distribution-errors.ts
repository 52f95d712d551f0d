import type { FastifyReply } from 'fastify'
import { CroftError } from '@croft/kit'
import { DistributionError } from './errors.js'

/** The specification's code for a refusal of ours, by status. */
const CODES: Readonly<Record<number, string>> = {
  400: 'UNSUPPORTED',
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'NAME_UNKNOWN',
  405: 'UNSUPPORTED',
  413: 'SIZE_INVALID',
  429: 'TOOMANYREQUESTS',
}

/** Answers in the shape container tools read: `errors`, no problem document. What is not a person's fault is thrown on. */
export function distributionFailed(error: unknown, reply: FastifyReply): FastifyReply {
  if (!(error instanceof CroftError) || error.status >= 500) throw error
  const code = error instanceof DistributionError ? error.distributionCode : (CODES[error.status] ?? 'UNKNOWN')
  const message = error.suggestion === undefined ? error.title : `${error.title}; ${error.suggestion}`
  return reply
    .status(error.status)
    .type('application/json')
    .send(JSON.stringify({ errors: [{ code, message, detail: error.detail ?? null }] }))
}
