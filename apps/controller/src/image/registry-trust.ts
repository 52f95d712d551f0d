import { readFile } from 'node:fs/promises'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import type { ControllerConfig } from '../config.js'
import type { InternalServer } from '../http/internal-server.js'
import { SettingsService } from '../settings/settings.service.js'
import { CONFIG, NODE_SERVER } from '../tokens.js'

/** Who may have signed the certificates of other registries: those the host trusts, and those of the platform's settings. */
@Injectable()
export class RegistryTrust implements OnModuleInit {
  constructor(
    @Inject(CONFIG) private readonly config: Pick<ControllerConfig, 'hostCa'>,
    @Inject(SettingsService) private readonly settings: Pick<SettingsService, 'get'>,
    @Inject(NODE_SERVER) private readonly server: InternalServer,
  ) {}

  /** Executors have a host of their own, and ask for the rest. */
  onModuleInit(): void {
    this.server.fastify.get('/v1/registry-certificates', async (_request, reply) =>
      reply.type('application/x-pem-file').send(await this.#set()),
    )
  }

  /** In PEM, as of now. */
  readonly certificates = async (): Promise<string> => {
    const { hostCa } = this.config
    const ofHost = hostCa === null ? '' : await readFile(hostCa, 'utf8')
    return `${ofHost}\n${await this.#set()}`
  }

  async #set(): Promise<string> {
    return (await this.settings.get('ca')) ?? ''
  }
}
