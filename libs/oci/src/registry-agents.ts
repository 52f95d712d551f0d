import type { LookupFunction } from 'node:net'
import { Agent, ProxyAgent, type Dispatcher } from 'undici'
import { proxyFor, type ProxySettings } from './proxy-choice.js'
import { contextOf, trustingConnector, type Certificates } from './registry-trust.js'

/** Which proxies there are, asked for every request. */
export type Proxies = () => Promise<ProxySettings>

export interface AgentOptions {
  /** To connect, ms. */
  connectMs: number
  /** What a name means, where no proxy finds out. */
  lookup: LookupFunction
  certificates: Certificates
  proxies: Proxies
}

/** A few connections to each. */
const CONNECTIONS = 4

/** How requests to registries and what they refer to leave this machine: straight, or through the platform's proxy. */
export class RegistryAgents {
  readonly #options: AgentOptions
  readonly #direct: Agent
  /** By address and certificates. */
  readonly #proxied = new Map<string, ProxyAgent>()

  constructor(options: AgentOptions) {
    this.#options = options
    const { connectMs, lookup, certificates } = options
    const connect = trustingConnector({ timeout: connectMs, lookup }, certificates)
    this.#direct = new Agent({ connections: CONNECTIONS, connect })
  }

  /** What sends a request, and the host of the proxy it goes through. Fails with what the settings cannot be asked for. */
  async of(url: URL): Promise<{ dispatcher: Dispatcher; via: string | null }> {
    const proxy = proxyFor(url, await this.#options.proxies())
    if (proxy === null) return { dispatcher: this.#direct, via: null }
    const pem = await this.#options.certificates()
    const key = `${proxy} ${pem}`
    const dispatcher = this.#proxied.get(key) ?? this.#proxyAgent(proxy, pem)
    this.#proxied.set(key, dispatcher)
    return { dispatcher, via: new URL(proxy).host }
  }

  async close(): Promise<void> {
    await Promise.all([this.#direct, ...this.#proxied.values()].map((agent) => agent.destroy()))
  }

  #proxyAgent(uri: string, pem: string): ProxyAgent {
    const tls = pem.includes('-----BEGIN CERTIFICATE-----') ? { secureContext: contextOf(pem) } : {}
    const connectTimeout = this.#options.connectMs
    return new ProxyAgent({ uri, connections: CONNECTIONS, connectTimeout, proxyTls: tls, requestTls: tls })
  }
}
