import 'reflect-metadata'
import { chmod, rm } from 'node:fs/promises'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import type { Redis } from 'ioredis'
import type { DataSource } from 'typeorm'
import { PolicyCheck } from './auth/policy-check.js'
import type { ControllerConfig } from './config.js'
import { ControllerModule, type ControllerPorts } from './controller.module.js'
import type { InternalServer } from './http/internal-server.js'
import { NestLog } from './http/nest-log.js'
import { preparePublicHttp, publicFastify, recordRoutes } from './http/public-http.js'
import { CONTROL_SERVER, DATA_SOURCE, NODE_SERVER, REDIS } from './tokens.js'

/** The control plane: pushes, builds, releases, placement, routes. */
export interface Controller {
  readonly app: NestFastifyApplication
  /** Socket of the public HTTP: API, git, images, pages. */
  readonly apiSocket: string
  /** Opens the internal sockets, then the public one; nothing is answered before. */
  listen(): Promise<void>
  /** Stops workers, then servers, then connections; safe to call twice. */
  close(): Promise<void>
}

/** Builds a controller: connects, migrates, starts every module. */
export async function createController(config: ControllerConfig, ports: ControllerPorts): Promise<Controller> {
  const adapter = new FastifyAdapter(publicFastify(ports.logger))
  const app = await NestFactory.create<NestFastifyApplication>(ControllerModule.for(config, ports), adapter, {
    bodyParser: false,
    abortOnError: false,
    logger: new NestLog(ports.logger),
  })
  preparePublicHttp(app, ports.logger)
  const served = recordRoutes(app)
  const apiSocket = `${config.run}/api/api.sock`
  const internal = [app.get<InternalServer>(NODE_SERVER), app.get<InternalServer>(CONTROL_SERVER)]
  let closing: Promise<void> | undefined
  return {
    app,
    apiSocket,
    async listen() {
      await app.init()
      app.get(PolicyCheck).refuseUnpoliced(served)
      for (const server of internal) await server.listen()
      await rm(apiSocket, { force: true })
      await app.listen(apiSocket)
      await chmod(apiSocket, 0o666) // the folder is what guards it
      ports.logger.info('controller-listening', { run: config.run })
    },
    close() {
      closing ??= (async () => {
        const dataSource = app.get<DataSource>(DATA_SOURCE)
        const redis = app.get<Redis>(REDIS)
        for (const server of internal) await server.close()
        await app.close()
        redis.disconnect()
        if (dataSource.isInitialized) await dataSource.destroy()
      })()
      return closing
    },
  }
}
