import { CroftError } from '@croft/kit'
import { parseCredentials, type RegistryCredentials } from '@croft/oci'
import { jsonText } from '@croft/protocol'
import { z } from 'zod'

const port = z.coerce.number().int().min(1).max(65535)

const environmentSchema = z.object({
  CROFT_HOME: z.string().startsWith('/'),
  CROFT_HOME_ID: z.string().min(1),
  CROFT_K: z.coerce.number().int().min(0).max(63),
  CROFT_RUN: z.string().startsWith('/').optional(),
  CROFT_CACHE: z.string().startsWith('/').default('/var/cache/croft'),
  CROFT_DOMAIN: z.string().min(1).default('localhost'),
  CROFT_HTTP_PORT: port.default(8080),
  CROFT_PUBLIC_URL: z.url({ protocol: /^https?$/ }),
  CROFT_PROGRAM: z.string().startsWith('/'),
  CROFT_PROGRAM_HASH: z.string(),
  CROFT_VERSION: z.string(),
  CROFT_LOG_LEVEL: z.string().default('info'),
  CROFT_TIME_SCALE: z.coerce.number().positive().default(1),
  CROFT_DATABASE_URL: z.string().min(1),
  CROFT_REDIS_URL: z.string().min(1),
  CROFT_OPERATOR_TOKEN_SHA256: z.string().regex(/^[a-f0-9]{64}$/),
  CROFT_REGISTRY_URL: z.string().default(''),
  /** `NAME:PASSWORD`. */
  CROFT_REGISTRY_CREDENTIALS: z.string().default(''),
  /** A file with the certificates the host trusts. */
  CROFT_HOST_CA: z.string().default(''),
  /** `http_proxy` and its kin as the host has them. */
  CROFT_HOST_PROXY_ENV: jsonText(z.record(z.string(), z.string())).default({}),
})

/** What the controller is told at its start; nothing else is read from the environment. */
export interface ControllerConfig {
  home: string
  homeId: string
  /** Index of the home on this host, 0–63. */
  k: number
  /** Run directory, `/run/croft/<k>`. */
  run: string
  cache: string
  domain: string
  httpPort: number
  /** Origin pattern of printed addresses, without a slash at its end, e.g. `http://localhost:8080`. */
  publicUrl: string
  program: string
  programHash: string
  version: string
  logLevel: string
  /** Tests only: long waits are divided by it. */
  timeScale: number
  databaseUrl: string
  redisUrl: string
  /** Lower-case hex. */
  operatorTokenSha256: string
  /** Where images are published instead of being this platform's alone to keep. */
  registry: { url: string; credentials: RegistryCredentials | null } | null
  /** The file with the certificates the host trusts, in PEM; null: those that Node brings along. */
  hostCa: string | null
  /** `http_proxy` and its kin, by which other registries are asked. */
  hostProxy: Readonly<Record<string, string>>
}

/**
 * Parses the environment.
 * @throws CroftError `bad-config` naming every variable that is missing or wrong; never a value.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): ControllerConfig {
  const parsed = environmentSchema.safeParse(env)
  if (!parsed.success) {
    const fields = Object.fromEntries(parsed.error.issues.map((issue) => [issue.path.join('.'), issue.message]))
    throw new CroftError({
      code: 'bad-config',
      status: 500,
      title: 'the controller was started with a wrong environment',
      detail: Object.entries(fields)
        .map(([name, why]) => `${name}: ${why}`)
        .join('; '),
      fields,
      suggestion: 'start the platform with ./croft up',
    })
  }
  const of = parsed.data
  return {
    home: of.CROFT_HOME,
    homeId: of.CROFT_HOME_ID,
    k: of.CROFT_K,
    run: of.CROFT_RUN ?? `/run/croft/${of.CROFT_K}`,
    cache: of.CROFT_CACHE,
    domain: of.CROFT_DOMAIN,
    httpPort: of.CROFT_HTTP_PORT,
    publicUrl: of.CROFT_PUBLIC_URL.replace(/\/+$/, ''),
    program: of.CROFT_PROGRAM,
    programHash: of.CROFT_PROGRAM_HASH,
    version: of.CROFT_VERSION,
    logLevel: of.CROFT_LOG_LEVEL,
    timeScale: of.CROFT_TIME_SCALE,
    databaseUrl: of.CROFT_DATABASE_URL,
    redisUrl: of.CROFT_REDIS_URL,
    operatorTokenSha256: of.CROFT_OPERATOR_TOKEN_SHA256,
    registry:
      of.CROFT_REGISTRY_URL === ''
        ? null
        : { url: of.CROFT_REGISTRY_URL, credentials: parseCredentials(of.CROFT_REGISTRY_CREDENTIALS) },
    hostCa: of.CROFT_HOST_CA === '' ? null : of.CROFT_HOST_CA,
    hostProxy: of.CROFT_HOST_PROXY_ENV,
  }
}
