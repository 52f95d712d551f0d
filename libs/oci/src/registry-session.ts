import { lookup as resolve, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP } from 'node:net'
import type { Readable } from 'node:stream'
import { CroftError, messageOf } from '@croft/kit'
import { request, type Dispatcher } from 'undici'
import { NotInRegistry, RegistryError, type OciError } from './errors.js'
import { isLoopbackHost, originOf, type ImageReference } from './image-reference.js'
import { NO_PROXIES } from './proxy-choice.js'
import { RegistryAgents, type Proxies } from './registry-agents.js'
import { isUntrusted, type Certificates } from './registry-trust.js'

export interface RegistryCredentials {
  username: string
  password: string
}

/** `NAME:PASSWORD`, or null for nothing. Pure. */
export function parseCredentials(text: string): RegistryCredentials | null {
  const colon = text.indexOf(':')
  return colon < 1 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** How long a registry may take, ms. */
export interface RegistryTimeouts {
  /** To connect, and to answer. */
  answerMs: number
  /** Between two pieces of a blob. */
  idleMs: number
}
const TIMEOUTS: RegistryTimeouts = { answerMs: 15_000, idleMs: 30_000 }
const MAX_REDIRECTS = 5
/** To take a whole upload before it answers. */
const UPLOAD_MS = 120_000
const DOCUMENT_LIMIT_BYTES = 4 * 1024 * 1024

export interface SessionOptions {
  timeouts?: RegistryTimeouts
  /** Where its API is; default: TLS, and plain HTTP on this machine. */
  origin?: string
  /** What is asked for; default: only to pull. */
  actions?: 'pull' | 'pull,push,delete'
  /** What is trusted besides Node's own certificates; asked for every new connection. */
  certificates?: Certificates | undefined
  /** Through which proxies others are asked; default: none. */
  proxies?: Proxies | undefined
}

export interface SessionRequest {
  headers?: Record<string, string>
  /** Gives the bytes anew for every try. */
  body?: () => Buffer | Readable
}

/**
 * Requests to one repository of a registry that is not trusted: TLS unless it is on this machine or whoever runs the platform says
 * otherwise, redirects and token servers get no further than the registry could itself, and credentials go to the registry's own host
 * and the token server it names, never along a redirect to another one.
 */
export class RegistrySession {
  readonly origin: string
  readonly host: string
  readonly name: string
  readonly #credentials: RegistryCredentials | null
  readonly #timeouts: RegistryTimeouts
  readonly #actions: string
  readonly #agents: RegistryAgents
  #authorization: string | undefined

  constructor(
    reference: Pick<ImageReference, 'host' | 'name'>,
    credentials: RegistryCredentials | null,
    options: SessionOptions = {},
  ) {
    const { timeouts = TIMEOUTS, origin, actions = 'pull' } = options
    const { certificates = () => Promise.resolve(''), proxies = () => Promise.resolve(NO_PROXIES) } = options
    this.#timeouts = timeouts
    this.#agents = new RegistryAgents({ connectMs: timeouts.answerMs, lookup: guardedLookup, certificates, proxies })
    refuseLinkLocal(reference.host)
    this.origin = origin ?? originOf(reference.host)
    this.host = reference.host
    this.name = reference.name
    this.#credentials = credentials
    this.#actions = actions
  }

  async close(): Promise<void> {
    await this.#agents.close()
  }

  /**
   * One request, following the registry's challenge once, and redirects of what only reads. The caller reads or dumps the body.
   * @throws RegistryError
   */
  async send(
    method: Dispatcher.HttpMethod,
    path: string,
    signal: AbortSignal,
    options: SessionRequest = {},
  ): Promise<Dispatcher.ResponseData> {
    const url = this.#allowed(new URL(path, this.origin))
    let response = await this.#follow(method, url, signal, options)
    if (response.statusCode === 401) {
      await response.body.dump()
      await this.#authenticate(one(response.headers['www-authenticate']) ?? '', signal)
      response = await this.#follow(method, url, signal, options)
    }
    return response
  }

  /** Unless the status is one of these, what was answered as an error. */
  async expect(response: Dispatcher.ResponseData, statuses: readonly number[], path: string): Promise<void> {
    if (statuses.includes(response.statusCode)) return
    await response.body.dump()
    throw this.#refused(response.statusCode, path)
  }

  async #follow(
    method: Dispatcher.HttpMethod,
    start: URL,
    signal: AbortSignal,
    { headers = {}, body }: SessionRequest,
  ): Promise<Dispatcher.ResponseData> {
    let url = start
    for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
      const isOwn = url.origin === this.origin
      const authorization = isOwn && this.#authorization !== undefined ? { authorization: this.#authorization } : {}
      const response = await this.#ask(method, url, signal, { ...headers, ...authorization }, body?.())
      const location = one(response.headers['location'])
      if (response.statusCode < 300 || response.statusCode >= 400 || location === undefined) return response
      if (method !== 'GET' && method !== 'HEAD') return response
      await response.body.dump()
      url = this.#allowed(new URL(location, url))
    }
    throw new RegistryError(`${this.host} redirects again and again`)
  }

  async #ask(
    method: Dispatcher.HttpMethod,
    url: URL,
    signal: AbortSignal,
    headers: Record<string, string>,
    body?: Buffer | Readable,
  ): Promise<Dispatcher.ResponseData> {
    let through = ''
    try {
      const { dispatcher, via } = await this.#agents.of(url)
      if (via !== null) through = ` through the proxy ${via}`
      return await request(url, {
        method,
        dispatcher,
        signal,
        headers: { 'user-agent': 'croft', ...headers },
        headersTimeout: body === undefined ? this.#timeouts.answerMs : UPLOAD_MS,
        bodyTimeout: this.#timeouts.idleMs,
        ...(body !== undefined && { body }),
      })
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof RegistryError) throw error
      if (isUntrusted(error)) {
        const remedy = 'let the host trust who signed it, or the platform: croft settings:set ca=FILE'
        const title = `the certificate of ${url.host} is not trusted`
        throw new RegistryError(title, `${messageOf(error)}; ${remedy}`, error)
      }
      throw new RegistryError(
        `the registry ${this.host} cannot be reached`,
        `${url.host}${through}: ${messageOf(error)}`,
        error,
      )
    }
  }

  async #authenticate(challenge: string, signal: AbortSignal): Promise<void> {
    const basic =
      this.#credentials &&
      `Basic ${Buffer.from(`${this.#credentials.username}:${this.#credentials.password}`).toString('base64')}`
    if (/^basic/i.test(challenge) && basic !== null) {
      this.#authorization = basic
      return
    }
    const realm = parameterOf(challenge, 'realm')
    if (!/^bearer/i.test(challenge) || realm === undefined || !URL.canParse(realm)) throw this.#refused(401, '')
    const url = this.#allowed(new URL(realm))
    const service = parameterOf(challenge, 'service')
    if (service !== undefined) url.searchParams.set('service', service)
    url.searchParams.set('scope', `repository:${this.name}:${this.#actions}`)
    const response = await this.#ask('GET', url, signal, basic === null ? {} : { authorization: basic })
    if (response.statusCode !== 200) {
      await response.body.dump()
      throw this.#refused(response.statusCode, '')
    }
    const token = tokenOf(await readDocument(response.body))
    if (token === undefined) throw new RegistryError(`${this.host} gives no token that can be read`)
    this.#authorization = `Bearer ${token}`
  }

  /** Elsewhere only over TLS, and this machine only for a registry that is on it. */
  #allowed(url: URL): URL {
    refuseLinkLocal(url.host)
    const isFine =
      url.origin === this.origin || (isLoopbackHost(url.host) ? isLoopbackHost(this.host) : url.protocol === 'https:')
    if (isFine && url.username === '' && /^https?:$/.test(url.protocol)) return url
    throw new RegistryError(`${this.host} sends us to ${url.protocol}//${url.host}, where it may not`)
  }

  /** What ended an answer before it was whole; one of ours says more. */
  stopped(error: unknown): Error {
    if (error instanceof CroftError) return error
    return new RegistryError(`the registry ${this.host} stopped in the middle of an answer`, messageOf(error), error)
  }

  #refused(status: number, path: string): OciError | RegistryError {
    const what = `${this.host}/${this.name}`
    if (status === 401 || status === 403) {
      return new RegistryError(
        `${this.host} does not let us ${this.#actions === 'pull' ? 'pull' : 'use'} ${this.name}`,
        this.#credentials === null ? 'it wants credentials' : 'it refuses the credentials it was given',
      )
    }
    if (status === 404) return new NotInRegistry(`${what} has no such image`, path)
    return new RegistryError(`${this.host} answered ${status}`, path)
  }
}

/** Link-local addresses are never a registry, but the metadata service of a cloud. Pure. */
export function isLinkLocal(address: string): boolean {
  const plain = address.toLowerCase().replace(/^::ffff:/, '')
  return plain.startsWith('169.254.') || /^fe[89ab][0-9a-f]:/.test(plain) || plain.startsWith('a9fe:')
}

type LookupDone = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

/** Every name of `.localhost` is this machine; whatever a name means, link-local addresses are refused. */
function guardedLookup(hostname: string, options: LookupOptions, done: LookupDone): void {
  const name = hostname.endsWith('.localhost') ? 'localhost' : hostname
  resolve(name, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return done(error, [])
    const allowed = addresses.filter(({ address }) => !isLinkLocal(address))
    const [first] = allowed
    if (first === undefined)
      return done(
        new RegistryError(`${hostname} is no registry: its address is link-local`) as NodeJS.ErrnoException,
        [],
      )
    if (options.all === true) done(null, allowed)
    else done(null, first.address, first.family)
  })
}

function parameterOf(challenge: string, name: string): string | undefined {
  return new RegExp(`[\\s,]${name}="([^"]*)"`, 'i').exec(challenge)?.[1]
}

function tokenOf(bytes: Buffer): string | undefined {
  try {
    const json = JSON.parse(bytes.toString('utf8')) as { token?: unknown; access_token?: unknown }
    const token = json.token ?? json.access_token
    return typeof token === 'string' && /^[\x21-\x7e]+$/.test(token) ? token : undefined
  } catch {
    return undefined
  }
}

export function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}

/** An address in a URL is not looked up; so it is judged here. @throws RegistryError */
function refuseLinkLocal(host: string): void {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  if (isIP(name) !== 0 && isLinkLocal(name))
    throw new RegistryError(`${host} is no registry: its address is link-local`)
}

/** All of an answer that fits in memory. @throws RegistryError */
export async function readDocument(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > DOCUMENT_LIMIT_BYTES)
      throw new RegistryError(`the registry answered more than ${DOCUMENT_LIMIT_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
