/** The name and version of what this server speaks beyond Garden, as `GET /ping` tells it. */
export const API = 'croft-garden/1'

/**
 * Extensions a server may announce in `GET /ping`. A route names the one it belongs to; a server announces those of its
 * routes, and a client asks only for what is announced.
 */
export const FEATURES = [
  /** `GET` and `HEAD /containers/:handle`. */
  'container',
  /** `GET /containers/:handle/processes`. */
  'processes',
  /** `GET …/processes/:pid/log?stream=stdout|stderr&from=OFFSET`. */
  'process-log',
  /** `PUT …/processes/:pid/signal`: any signal, and an error when the process has ended. */
  'process-signal',
  /** `?from=OFFSET`, `?stdout_from=…&stderr_from=…` and `?tail=BYTES` on attach. */
  'attach-from',
  /** `?streams=stdin,stdout,stderr` on run and attach: only those; an absent stdin is at its end. */
  'streams',
  /** `data_b64` in input frames. */
  'binary-stdin',
  /** `{"dropped":{"stream","bytes"}}` payloads, and signal, oom and times in the last one. */
  'payloads',
  /** `GET` and `PATCH /containers/:handle/limits`. */
  'limits',
  /** `GET /containers/:handle/grace_time`. */
  'grace-time',
  /** `PUT /containers/pause` and `/containers/resume`. */
  'pause',
  /** `GET /capabilities`. */
  'capabilities',
  /** `POST /containers/check`: everything a create would refuse. */
  'check',
  /** `DELETE /containers/:handle?ignore_missing=true`, or the header `If-Exists: true`. */
  'destroy-if-exists',
  /** The header `Idempotency-Key` on create, run and net/in. */
  'idempotency-key',
  /** Croft's own fields in specs: idmapped mounts, overlays, quotas, I/O limits, host names, no_new_privileges. */
  'spec-fields',
  /** `GET /events` and `GET /events/position`. */
  'events',
  /** `GET`, `PUT` and `DELETE /containers/:handle/lease`. */
  'lease',
  /** `GET /metrics/stream`. */
  'metrics-stream',
  /** A WebSocket upgrade on run and attach. */
  'websocket',
] as const

export type Feature = (typeof FEATURES)[number]
