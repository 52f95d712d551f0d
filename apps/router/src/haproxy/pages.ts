/** What the router answers when no app can. Log-format strings: `%[…]` is filled in by HAProxy. */
export interface Page {
  status: number
  /** `X-Croft-Error`. */
  code: string
  /** Plain text, one idea a line. */
  lines: string[]
  /** Seconds after which trying again may help. */
  retryAfter?: number
}

const APP = '%[var(txn.backend),map_str(@names@)]'
const HOST = '%[var(txn.host)]'

/** Every page by the situation it belongs to; `@names@` and `@platform@` stand for the map file and the platform's address. */
export const PAGES = {
  malformed: { status: 400, code: 'H26', lines: ['This request is malformed or ambiguous, so no app saw it.'] },
  method: { status: 405, code: 'H26', lines: ['This request method is not passed on to apps.'] },
  unknown: {
    status: 404,
    code: 'H31',
    lines: [`There is no app at ${HOST}.`, 'To put one there, push it: git push @platform@/APP.git main'],
  },
  'scaled-to-zero': {
    status: 503,
    code: 'H14',
    lines: [`${APP} has no web process running.`, `To start one: croft ps:scale web=1 -a ${APP}`],
  },
  crashed: {
    status: 503,
    code: 'H10',
    lines: [`${APP} crashed; Croft starts it again.`, `To see why: croft logs -a ${APP}`],
    retryAfter: 5,
  },
  starting: {
    status: 503,
    code: 'H20',
    lines: [`${APP} is still starting.`, `To watch it: croft logs --tail -a ${APP}`],
    retryAfter: 5,
  },
  refused: {
    status: 503,
    code: 'H21',
    lines: [`${APP} refuses connections.`, `To see what it does: croft ps -a ${APP}`],
    retryAfter: 5,
  },
  timeout: {
    status: 503,
    code: 'H19',
    lines: [`${APP} accepts no connections in time.`, `To see what it does: croft ps -a ${APP}`],
    retryAfter: 5,
  },
  crowded: {
    status: 503,
    code: 'H11',
    lines: [
      `${APP} has no instance that answers, and too many requests wait for one.`,
      `To see why: croft ps -a ${APP}`,
    ],
    retryAfter: 5,
  },
  closed: {
    status: 502,
    code: 'H13',
    lines: [`${APP} closed the connection without an answer.`, `To see why: croft logs -a ${APP}`],
  },
  slow: {
    status: 504,
    code: 'H12',
    lines: [`${APP} did not answer in time.`, `To see what it does: croft logs -a ${APP}`],
  },
  platform: {
    status: 503,
    code: 'H99',
    lines: ["The platform's own service is away; apps go on serving.", 'On its host: croft status'],
    retryAfter: 5,
  },
} as const satisfies Record<string, Page>

export type PageName = keyof typeof PAGES

/** Answers to requests that could not be read at all. */
export const RAW_PAGES: readonly Page[] = [
  PAGES.malformed,
  { status: 408, code: 'H28', lines: ['The head of this request did not come in time.'] },
]
