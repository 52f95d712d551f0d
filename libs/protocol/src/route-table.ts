import { z } from 'zod'

export const endpointSchema = z.object({
  /** `ip:port`. */
  address: z.string(),
  instanceId: z.uuid(),
  releaseVersion: z.int(),
  weight: z.int().min(0).max(256),
})
export type Endpoint = z.infer<typeof endpointSchema>

/** One item of `GET /v1/routes`: host + longest path prefix → endpoints of one app. */
export const routeSchema = z.object({
  /** Exact, lower-case, without port. */
  host: z.string(),
  pathPrefix: z.string().startsWith('/'),
  appId: z.uuid(),
  appName: z.string(),
  /** Why there are no endpoints, for the error page: `crashed` H10, `scaled-to-zero` H14, `starting` H20. */
  idleReason: z.enum(['crashed', 'scaled-to-zero', 'starting']).nullable(),
  endpoints: z.array(endpointSchema),
})
export type Route = z.infer<typeof routeSchema>

/** `PUT /v1/routers/:id/status`: how the router tells which removed instances still carry requests. */
export const routerStatusSchema = z.object({
  epoch: z.string().nullable(),
  /** The revision applied in HAProxy (also sent as `after`). */
  appliedRevision: z.int(),
  /** Instances no longer in the table that still have sessions; an absent one is drained. */
  busyInstances: z.array(z.uuid()),
})
export type RouterStatus = z.infer<typeof routerStatusSchema>
