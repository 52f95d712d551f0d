import type { ControllerConfig } from '@croft/controller'
import type { DeploymentId } from '@croft/kit'
import type { Type } from '@nestjs/common'
import type { DataSource } from 'typeorm'
import type { Dispatcher } from 'undici'
import type { App } from '../../../apps/controller/src/app/app.entity.js'
import { AppService } from '../../../apps/controller/src/app/app.service.js'
import { DeployService, type DeployEnd } from '../../../apps/controller/src/deploy/deploy.service.js'
import type { Deployment } from '../../../apps/controller/src/deploy/deployment.entity.js'
import { ReleaseService } from '../../../apps/controller/src/release/release.service.js'
import { TeamService } from '../../../apps/controller/src/team/team.service.js'
import { DATA_SOURCE } from '../../../apps/controller/src/tokens.js'
import { controllerRig, type ControllerRig } from './controller-rig.js'
import { call } from './socket-call.js'

/** A controller over a real PostgreSQL and Redis, asked through its sockets and through its services. */
export class ControlRig {
  private constructor(private readonly rig: ControllerRig) {}

  static async start(changes: Partial<ControllerConfig> = {}): Promise<ControlRig> {
    return new ControlRig(await controllerRig(changes))
  }

  get apiSocket(): string {
    return this.rig.controller.apiSocket
  }
  get nodeSocket(): string {
    return `${this.rig.config.run}/node/node.sock`
  }
  get controlSocket(): string {
    return `${this.rig.config.run}/control/control.sock`
  }
  get home(): string {
    return this.rig.config.home
  }
  get operatorToken(): string {
    return this.rig.operatorToken
  }
  get dataSource(): DataSource {
    return this.service<DataSource>(DATA_SOURCE)
  }

  /** A provider of the running controller. */
  service<T>(token: Type<T> | symbol): T {
    return this.rig.controller.app.get<T>(token)
  }

  /** Ends the controller and starts another one over the same rows. */
  async restart(): Promise<void> {
    await this.rig.restart()
  }

  async close(): Promise<void> {
    await this.rig.close()
  }

  async createApp(name: string): Promise<App> {
    const team = await this.service(TeamService).ensureMain()
    return this.service(AppService).create(name, {
      tokenId: 'rig',
      teamId: team.id,
      role: 'operator',
      name: 'operator',
    })
  }

  /** A release of process types that need no build, and the beginning of its deployment. */
  async release(
    app: App,
    types: readonly string[] = ['web'],
    formation: Record<string, number> = {},
  ): Promise<Deployment> {
    const created = await this.service(ReleaseService).create({
      app,
      image: `sha256:${'0'.repeat(64)}`,
      processTypes: Object.fromEntries(
        types.map((type) => [type, { command: `node ${type}.js`, argv: [`/cnb/process/${type}`] }]),
      ),
      formation,
      description: 'a test',
      author: 'operator',
    })
    return this.service(DeployService).start(created)
  }

  /** Waits for the end of a deployment. */
  async finish(id: DeploymentId, lines: string[] = []): Promise<DeployEnd> {
    return this.service(DeployService).wait(id, {
      onLine: (line) => lines.push(line),
      signal: AbortSignal.timeout(30_000),
    })
  }

  /** A call of the public API as the operator. */
  async api<T>(method: Dispatcher.HttpMethod, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    return call<T>(this.apiSocket, method, `/api/v1${path}`, body, this.operatorToken)
  }
}

/** The host every app has. */
export function hostOf(app: string): string {
  return `${app}.localhost`
}

export type { App }
