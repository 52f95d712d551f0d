import type { CroftError } from '@croft/kit'
import { z } from 'zod'
import { ApiError, PlatformUnreachable } from './api-error.js'

const problemSchema = z.object({
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string().optional(),
  suggestion: z.string().optional(),
  requestId: z.string().optional(),
  fields: z.record(z.string(), z.string()).optional(),
})

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** The failure an answer other than 2xx stands for; an error page of the router is told apart by its header. */
export function apiErrorOf(url: string, status: number, headers: Headers, body: string): CroftError {
  const routerCode = headers['x-croft-error']?.toString()
  if (routerCode !== undefined) return new PlatformUnreachable(url, `its router answered ${status} ${routerCode}`)
  const problem = problemSchema.safeParse(parseJson(body))
  if (problem.success) return new ApiError({ ...problem.data, retryAfterS: secondsOf(headers['retry-after']) })
  return new PlatformUnreachable(url, `something else answered ${status} there`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function secondsOf(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,4}$/.test(header) ? Number(header) : undefined
}
