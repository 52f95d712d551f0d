import { parseArgs } from 'node:util'
import { parseCredentials, type RegistryCredentials } from '@croft/oci'
import { jsonText } from '@croft/protocol'
import { z } from 'zod'

/** The environment of an executor, as the supervisor sets it. */
export const executorConfigSchema = z.object({
  CROFT_HOME: z.string().startsWith('/'),
  CROFT_HOME_ID: z.string().default(''),
  CROFT_K: z.coerce.number().int().min(0).max(63),
  CROFT_RUN: z.string().startsWith('/'),
  CROFT_CACHE: z.string().startsWith('/'),
  CROFT_TOOLS: z.string().startsWith('/'),
  CROFT_SHIM: z.string().startsWith('/'),
  CROFT_BUILDPACKS: z.string().startsWith('/'),
  CROFT_PLATFORM_NODE: z.string().startsWith('/'),
  CROFT_PLATFORM_NPM: z.string(),
  CROFT_NODE_NAME: z.string().default('local'),
  /** Destinations in private ranges that containers may reach: registries, proxies. */
  CROFT_EGRESS: jsonText(z.array(z.object({ host: z.string(), port: z.int() }))).default([]),
  CROFT_BUILD_NPMRC: z.string().default(''),
  CROFT_BUILD_CA: z.string().default(''),
  CROFT_BUILD_PROXY_ENV: jsonText(z.record(z.string(), z.string())).default({}),
  /** Address of a container API to use instead of an own backend: `unix:/path`, `tcp:host:port`. */
  CROFT_GARDEN: z.string().default(''),
  /** A file with the token it wants. */
  CROFT_GARDEN_TOKEN_FILE: z.string().default(''),
  /** The addresses its containers get; without it the range the controller gives this node. */
  CROFT_GARDEN_NETWORK: z.string().default(''),
  /** Where the platform publishes its images; empty: the controller has them. */
  CROFT_REGISTRY_URL: z.string().default(''),
  /** `NAME:PASSWORD`. */
  CROFT_REGISTRY_CREDENTIALS: z.string().default(''),
  /** Divides long waits; tests only. */
  CROFT_TIME_SCALE: z.coerce.number().positive().default(1),
})

export interface GardenConfig {
  address: string
  tokenFile: string | null
  /** Null: the range the controller gives this node. */
  network: string | null
}

export interface ExecutorConfig {
  nodeName: string
  /** Empty in tests that have no platform. */
  homeId: string
  /** The home's index. */
  k: number
  run: string
  /** `<home>/node`, root's own. */
  nodeHome: string
  /** What the host's homes share: base images, package lists. */
  cache: string
  /** The scripts that make stacks. */
  tools: string
  shim: string
  buildpacks: string
  platformNode: string
  platformNpm: string
  egress: { host: string; port: number }[]
  build: { npmrc: string; ca: string; proxyEnv: Record<string, string> }
  /** The container API to use instead of an own backend. */
  garden: GardenConfig | null
  /** The registry the platform publishes its images in. */
  registry: { url: string; credentials: RegistryCredentials | null } | null
  timeScale: number
}

/**
 * The configuration in the environment; `--garden ADDRESS`, `--garden-token-file FILE` and `--garden-network CIDR` among the
 * arguments win over it.
 * @throws z.ZodError naming each variable that is wrong, TypeError for an argument nobody knows
 */
export function readConfig(env: Record<string, string | undefined>, args: readonly string[] = []): ExecutorConfig {
  const { values } = parseArgs({
    args: [...args],
    options: {
      garden: { type: 'string' },
      'garden-token-file': { type: 'string' },
      'garden-network': { type: 'string' },
    },
  })
  const parsed = executorConfigSchema.parse({
    ...env,
    ...(values.garden !== undefined && { CROFT_GARDEN: values.garden }),
    ...(values['garden-token-file'] !== undefined && { CROFT_GARDEN_TOKEN_FILE: values['garden-token-file'] }),
    ...(values['garden-network'] !== undefined && { CROFT_GARDEN_NETWORK: values['garden-network'] }),
  })
  return {
    nodeName: parsed.CROFT_NODE_NAME,
    homeId: parsed.CROFT_HOME_ID,
    k: parsed.CROFT_K,
    run: parsed.CROFT_RUN,
    nodeHome: `${parsed.CROFT_HOME}/node`,
    cache: parsed.CROFT_CACHE,
    tools: parsed.CROFT_TOOLS,
    shim: parsed.CROFT_SHIM,
    buildpacks: parsed.CROFT_BUILDPACKS,
    platformNode: parsed.CROFT_PLATFORM_NODE,
    platformNpm: parsed.CROFT_PLATFORM_NPM,
    egress: parsed.CROFT_EGRESS,
    build: { npmrc: parsed.CROFT_BUILD_NPMRC, ca: parsed.CROFT_BUILD_CA, proxyEnv: parsed.CROFT_BUILD_PROXY_ENV },
    garden:
      parsed.CROFT_GARDEN === ''
        ? null
        : {
            address: parsed.CROFT_GARDEN,
            tokenFile: parsed.CROFT_GARDEN_TOKEN_FILE || null,
            network: parsed.CROFT_GARDEN_NETWORK || null,
          },
    registry:
      parsed.CROFT_REGISTRY_URL === ''
        ? null
        : { url: parsed.CROFT_REGISTRY_URL, credentials: parseCredentials(parsed.CROFT_REGISTRY_CREDENTIALS) },
    timeScale: parsed.CROFT_TIME_SCALE,
  }
}
