import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CroftError, errnoOf } from '@croft/kit'
import { z } from 'zod'
import { runFolder } from './run-folder.js'

/** Where a platform of this host keeps itself when nobody says otherwise. */
export const DEFAULT_HOME = '/var/lib/croft'

/** What the supervisor of a home writes to `RUN/supervisor.json` for the other commands on this host; replaced as a whole. */
export const supervisorStateSchema = z.object({
  version: z.string(),
  home: z.string(),
  k: z.number().int(),
  programHash: z.string(),
  supervisor: z.object({ pid: z.number().int(), startTime: z.string() }),
  startedAt: z.string(),
  /** Whether every component answered since the supervisor started. */
  ready: z.boolean(),
  settings: z.object({
    domain: z.string(),
    httpPort: z.number().int(),
    httpsPort: z.number().int(),
    sshPort: z.number().int(),
    /** Origin pattern of printed addresses, e.g. `http://localhost:8080`. */
    publicUrl: z.string(),
    listen: z.array(z.string()),
    /** The container API of another process that is used; null: containers are our own. */
    garden: z
      .object({ address: z.string(), tokenFile: z.string().nullable(), network: z.string() })
      .nullable()
      .default(null),
    /** The registry images are published in; null: the platform keeps them itself. */
    registry: z
      .object({ url: z.string(), credentialsFile: z.string().nullable(), mayBePlain: z.boolean() })
      .nullable()
      .default(null),
  }),
  components: z.array(
    z.object({
      name: z.string(),
      state: z.enum(['starting', 'running', 'backoff', 'stopped', 'external']),
      pid: z.number().int().nullable(),
      startTime: z.string().nullable(),
      restarts: z.number().int(),
    }),
  ),
})
export type SupervisorState = z.infer<typeof supervisorStateSchema>

/** A platform on this host, as the CLI finds it by its home. */
export interface LocalPlatform {
  home: string
  run: string
  state: SupervisorState
  /** Origin of the platform's own host to connect to, e.g. `http://croft.localhost:8080`; see `lookup` for `*.localhost`. */
  url: string
}

/** The platform of a home, or undefined when none was started since the host booted. */
export async function findLocalPlatform(home: string): Promise<LocalPlatform | undefined> {
  const k = await readText(join(home, 'k'))
  if (k === undefined) return undefined
  const index = Number.parseInt(k, 10)
  const text = await readText(join(runFolder(index), 'supervisor.json'))
  if (text === undefined) return undefined
  const state = supervisorStateSchema.parse(JSON.parse(text))
  if (state.home !== home) return undefined
  const { domain, httpPort } = state.settings
  const port = httpPort === 80 ? '' : `:${httpPort}`
  return { home, run: runFolder(index), state, url: `http://croft.${domain}${port}` }
}

/** The operator's token of a home; only its owner (root) may read it. */
export async function readOperatorToken(home: string): Promise<string> {
  const token = await readText(join(home, 'operator-token'))
  if (token !== undefined) return token.trim()
  throw new CroftError({
    code: 'no-operator-token',
    status: 404,
    title: `no operator token in ${home}`,
    suggestion: './croft up makes one on the first start; or name another home with --home',
  })
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
