import { z } from 'zod'

/**
 * What a supervisor is started with: `RUN/supervisor-config.json`, written by `up`, readable for root only. It is enough to run
 * the platform again without `up`.
 */
export const supervisorConfigSchema = z.object({
  version: z.string(),
  home: z.string(),
  homeId: z.string(),
  k: z.number().int(),
  run: z.string(),
  program: z.string(),
  programHash: z.string(),
  shim: z.string(),
  platformNpm: z.string(),
  operatorTokenSha256: z.string(),
  redisUrl: z.string(),
  logLevel: z.string(),
  timeScale: z.string(),
  /** Hosts that containers may reach although they lie in private ranges: registries, proxies, resolvers. */
  egress: z.array(z.object({ host: z.string(), port: z.number().int() })),
  build: z.object({ npmrc: z.string(), ca: z.string(), proxyEnvironment: z.record(z.string(), z.string()) }),
  /** Variables of tests for every component, such as CROFT_FAILPOINT. */
  extraEnvironment: z.record(z.string(), z.string()),
  settings: z.object({
    cache: z.string(),
    domain: z.string(),
    httpPort: z.number().int(),
    httpsPort: z.number().int(),
    sshPort: z.number().int(),
    publicUrl: z.string(),
    listen: z.array(z.string()),
    databaseUrl: z.string().optional(),
    redisUrl: z.string().optional(),
  }),
})
export type SupervisorConfig = z.infer<typeof supervisorConfigSchema>
