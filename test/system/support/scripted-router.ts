import { waitFor } from '@croft/kit'
import type { Route } from '@croft/protocol'
import { pause } from './pause.js'
import { call } from './socket-call.js'

interface Table {
  epoch: string
  revision: number
  complete: true
  items: Route[]
}

/** A router without HAProxy: it applies tables after a moment and acknowledges them. */
export class ScriptedRouter {
  table: Table | null = null
  readonly revisions: number[] = []
  /** Instances that still carry requests after they left the table. */
  busy = new Set<string>()
  /** While true, no table is fetched and nothing is acknowledged. */
  isSilent = false
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(
    private readonly socketPath: string,
    readonly id = 'router-1',
  ) {}

  async start(): Promise<void> {
    this.#running = this.#watch()
    await waitFor(() => this.table !== null, { what: 'the first table', timeoutMs: 5_000 })
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  route(host: string): Route | undefined {
    return this.table?.items.find((item) => item.host === host)
  }

  /** Whether the table it serves has the instance. */
  routesTo(instanceId: string): boolean {
    return (
      this.table?.items.some((item) => item.endpoints.some((endpoint) => endpoint.instanceId === instanceId)) ?? false
    )
  }

  async report(): Promise<void> {
    await call(this.socketPath, 'PUT', `/v1/routers/${this.id}/status`, {
      epoch: this.table?.epoch ?? null,
      appliedRevision: this.table?.revision ?? 0,
      busyInstances: [...this.busy],
    })
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      if (this.isSilent) {
        await pause(10)
        continue
      }
      try {
        const query = new URLSearchParams({
          router: this.id,
          after: String(this.table?.revision ?? 0),
          wait: '5',
          ...(this.table !== null && { epoch: this.table.epoch }),
        })
        const { status, body } = await call<Table>(
          this.socketPath,
          'GET',
          `/v1/routes?${query.toString()}`,
          undefined,
          undefined,
          signal,
        )
        if (status === 200) {
          while (this.isSilent && !signal.aborted) await pause(10)
          await pause(5)
          this.table = body
          this.revisions.push(body.revision)
          await this.report()
        } else if (status !== 204) await pause(50)
      } catch {
        await pause(50)
      }
    }
  }
}
