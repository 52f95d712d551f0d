import { readFile } from 'node:fs/promises'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { proxySettings, type ProxySettings } from '@croft/oci'
import type { ControllerConfig } from '../config.js'
import type { InternalServer } from '../http/internal-server.js'
import { SettingsService } from '../settings/settings.service.js'
import { CONFIG, NODE_SERVER } from '../tokens.js'

/**
 * How other registries are reached: whom they may have their certificates from, and through which proxies. Of both what the host has,
 * and what the platform's settings say.
 */
@Injectable()
export class RegistryTrust implements OnModuleInit {
  constructor(
    @Inject(CONFIG) private readonly config: Pick<ControllerConfig, 'hostCa' | 'hostProxy' | 'domain'>,
    @Inject(SettingsService) private readonly settings: Pick<SettingsService, 'get'>,
    @Inject(NODE_SERVER) private readonly server: InternalServer,
  ) {}

  /** Executors have a host of their own, and ask for the rest. */
  onModuleInit(): void {
    this.server.fastify.get('/v1/registry-certificates', async (_request, reply) =>
      reply.type('application/x-pem-file').send(await this.#set()),
    )
    this.server.fastify.get('/v1/registry-proxy', () => this.#setProxy())
  }

  /** In PEM, as of now. */
  readonly certificates = async (): Promise<string> => {
    const { hostCa } = this.config
    const ofHost = hostCa === null ? '' : await readFile(hostCa, 'utf8')
    return `${ofHost}\n${await this.#set()}`
  }

  /** As of now. What the platform serves itself is asked through none. */
  readonly proxies = async (): Promise<ProxySettings> => {
    const { hostProxy, domain } = this.config
    const found = proxySettings(hostProxy, await this.#setProxy())
    return { ...found, noProxy: `${found.noProxy},${domain}` }
  }

  async #setProxy(): Promise<{ proxy: string | null; noProxy: string | null }> {
    return { proxy: await this.settings.get('proxy'), noProxy: await this.settings.get('noProxy') }
  }

  async #set(): Promise<string> {
    return (await this.settings.get('ca')) ?? ''
  }
}
