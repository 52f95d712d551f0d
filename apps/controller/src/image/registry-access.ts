import { Inject, Injectable } from '@nestjs/common'
import { CroftError, type AppId, type Clock, type Digest, isDigest } from '@croft/kit'
import type { FastifyRequest } from 'fastify'
import type { DataSource } from 'typeorm'
import { isAppName } from '../app/app-name.js'
import { AppService } from '../app/app.service.js'
import { AppNotFound } from '../app/errors.js'
import type { Keyring } from '../app/keyring.js'
import { KEYRING } from '../app/keyring-token.js'
import { Authenticator } from '../auth/authenticator.js'
import { Forbidden, Unauthenticated } from '../auth/errors.js'
import { rememberPrincipal, type Principal } from '../auth/principal.js'
import { allows, type Action } from '../auth/roles.js'
import { TokenService } from '../auth/token.service.js'
import type { ControllerConfig } from '../config.js'
import { CLOCK, CONFIG, DATA_SOURCE } from '../tokens.js'
import type { RegistryAccess, Repository, RepositoryAction } from './distribution.routes.js'
import { DistributionError } from './errors.js'
import { ManifestStore } from './manifest-store.js'
import {
  CATALOG_SCOPE,
  REGISTRY_TOKEN_SECONDS,
  parseScopes,
  signClaims,
  verifyClaims,
  type RegistryScope,
} from './registry-token.js'

/** What an action on a repository asks of a role. */
const ASKS: Readonly<Record<RepositoryAction, Action>> = { pull: 'image:read', push: 'app:deploy', delete: 'app:write' }
const RELEASE_TAG = /^v[1-9]\d{0,8}$/

/** Where to get a token for what was asked; container tools follow it. */
export class RegistryChallenge extends CroftError {
  constructor(
    readonly header: string,
    title: string,
  ) {
    super({ code: 'unauthorized', status: 401, title, suggestion: 'docker login with a token as password' })
  }
}

interface Caller {
  principal: Principal
  /** What a token of the registry is good for; null: whatever the role allows. */
  scopes: readonly RegistryScope[] | null
}

/**
 * Who may use which repository: an app's images belong to its team. A Croft token is good for all its role allows; the registry's
 * own tokens, which container tools fetch with it, are good for five minutes and for what they name, and end with it. An app of
 * another team is the same as a missing one.
 */
@Injectable()
export class TeamAccess implements RegistryAccess {
  /** Set by whoever deploys what is pushed. */
  pushed?: RegistryAccess['pushed'] & {}
  readonly #key: Buffer

  constructor(
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(KEYRING) keyring: Keyring,
    @Inject(Authenticator) private readonly authenticator: Authenticator,
    @Inject(TokenService) private readonly tokens: TokenService,
    @Inject(AppService) private readonly apps: AppService,
    @Inject(ManifestStore) private readonly manifests: ManifestStore,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.#key = keyring.derive('registry-token')
  }

  /** A token for those of the asked scopes that the caller may have. @throws Unauthenticated, PlainHttpRefused */
  async issue(
    request: FastifyRequest,
    scope: string | string[] | undefined,
  ): Promise<{ token: string; expiresIn: number }> {
    const principal = await this.authenticator.authenticate(request.headers)
    const access: RegistryScope[] = []
    for (const asked of parseScopes(scope)) {
      if (asked.type === 'registry' && allows(principal.role, ASKS.pull)) access.push(asked)
      if (asked.type !== 'repository') continue
      const actions = asked.actions.filter((action) => isAction(action) && allows(principal.role, ASKS[action]))
      if (actions.length > 0 && (await this.#find(principal, asked.name)) !== undefined)
        access.push({ ...asked, actions })
    }
    const exp = Math.floor(this.clock.now() / 1000) + REGISTRY_TOKEN_SECONDS
    const claims = { iss: 'croft' as const, aud: this.config.domain, sub: principal.tokenId, exp, access }
    return { token: signClaims(claims, this.#key), expiresIn: REGISTRY_TOKEN_SECONDS }
  }

  /** @throws RegistryChallenge without valid credentials */
  async caller(request: FastifyRequest, scope?: string): Promise<Caller> {
    try {
      const caller = (await this.#ofRegistryToken(request)) ?? {
        principal: await this.authenticator.authenticate(request.headers),
        scopes: null,
      }
      rememberPrincipal(request, caller.principal)
      return caller
    } catch (error) {
      if (!(error instanceof Unauthenticated)) throw error
      throw new RegistryChallenge(this.#challenge(request, scope), error.title)
    }
  }

  async repository(request: FastifyRequest, name: string, action: RepositoryAction): Promise<Repository> {
    const scope = `repository:${name}:${action === 'push' ? 'pull,push' : action}`
    const { principal, scopes } = await this.caller(request, scope)
    if (!allows(principal.role, ASKS[action])) throw new Forbidden(principal.role, ASKS[action])
    if (scopes !== null && !grants(scopes, name, action) && (await this.#find(principal, name)) !== undefined) {
      throw new RegistryChallenge(
        `${this.#challenge(request, scope)},error="insufficient_scope"`,
        'this token is for something else',
      )
    }
    const repository = await this.#find(principal, name)
    if (repository === undefined) throw new AppNotFound(name)
    return repository
  }

  async source(request: FastifyRequest, name: string): Promise<Repository | undefined> {
    const { principal, scopes } = await this.caller(request)
    if (!allows(principal.role, ASKS.pull) || (scopes !== null && !grants(scopes, name, 'pull'))) return undefined
    return this.#find(principal, name)
  }

  /** Names of the team's repositories that hold anything; a token that names what it is good for must name the catalog. */
  async catalog(request: FastifyRequest): Promise<string[]> {
    const { principal, scopes } = await this.caller(request, CATALOG_SCOPE)
    if (!allows(principal.role, ASKS.pull)) throw new Forbidden(principal.role, ASKS.pull)
    if (scopes !== null && !scopes.some(({ type, name }) => type === 'registry' && name === 'catalog')) {
      throw new RegistryChallenge(
        `${this.#challenge(request, CATALOG_SCOPE)},error="insufficient_scope"`,
        'this token is for something else',
      )
    }
    const filled = new Set(await this.manifests.apps())
    const apps = await this.apps.list(principal.teamId)
    const names: string[] = []
    for (const { id, name } of apps) {
      if (filled.has(id) && (await this.manifests.list(id)).length > 0) names.push(name)
    }
    return names
  }

  /** `v12` is the image of release 12; `latest` that of the release that serves, unless somebody pushed it since. */
  async releaseTag(repository: Repository, tag: string): Promise<Digest | undefined> {
    if (RELEASE_TAG.test(tag)) {
      const [row] = await this.dataSource.query<{ image: string | null }[]>(
        'SELECT image FROM release WHERE app_id = $1 AND version = $2',
        [repository.id, Number(tag.slice(1))],
      )
      return digestOf(row?.image)
    }
    if (tag !== 'latest') return undefined
    const [row] = await this.dataSource.query<{ image: string | null; since: Date | null }[]>(
      `SELECT r.image, max(d.ended_at) AS since FROM app a
       JOIN release r ON r.app_id = a.id AND r.version = a.current_release
       LEFT JOIN deployment d ON d.release_id = r.id AND d.state = 'succeeded'
       WHERE a.id = $1 GROUP BY r.image`,
      [repository.id],
    )
    const pushed = await this.manifests.tag(repository.id, tag)
    const isPushedSince = pushed !== undefined && (row?.since ?? new Date(0)) < pushed.writtenAt
    return isPushedSince ? undefined : digestOf(row?.image)
  }

  /** Those whose image is here. */
  async releaseTags(repository: Repository): Promise<string[]> {
    const rows = await this.dataSource.query<{ version: number; image: string; serves: boolean }[]>(
      `SELECT r.version, r.image, r.version IS NOT DISTINCT FROM a.current_release AS serves
       FROM release r JOIN app a ON a.id = r.app_id WHERE r.app_id = $1 AND r.image IS NOT NULL`,
      [repository.id],
    )
    const here = new Set<string>((await this.manifests.list(repository.id)).map(({ digest }) => digest))
    return rows
      .filter(({ image }) => here.has(image))
      .flatMap(({ version, serves }) => [`v${version}`, ...(serves ? ['latest'] : [])])
  }

  async refuseChange(repository: Repository, reference: string): Promise<void> {
    if (RELEASE_TAG.test(reference)) {
      throw new DistributionError(403, 'DENIED', `${reference} is the tag of a release; push another tag`)
    }
    if (!isDigest(reference)) return
    const [row] = await this.dataSource.query<{ version: number }[]>(
      'SELECT version FROM release WHERE app_id = $1 AND image = $2 ORDER BY version DESC LIMIT 1',
      [repository.id, reference],
    )
    if (row !== undefined) throw new DistributionError(403, 'DENIED', `v${row.version} runs this image`)
  }

  async #ofRegistryToken(request: FastifyRequest): Promise<Caller | undefined> {
    const [, token] = /^Bearer ([^.\s]+\.[^.\s]+\.[^.\s]+)$/i.exec(request.headers.authorization ?? '') ?? []
    if (token === undefined) return undefined
    this.authenticator.refuseUnsafe(request.headers)
    const claims = verifyClaims(token, this.#key, { audience: this.config.domain, nowMs: this.clock.now() })
    const principal = claims === null ? undefined : await this.tokens.byId(claims.sub)
    if (claims === null || principal === undefined) throw new Unauthenticated(true)
    return { principal, scopes: claims.access }
  }

  async #find(principal: Principal, name: string): Promise<Repository | undefined> {
    if (!isAppName(name)) return undefined
    try {
      const app = await this.apps.findInTeam(principal.teamId, name)
      return { id: app.id satisfies AppId, name: app.name, isTrusted: false }
    } catch (error) {
      if (error instanceof AppNotFound) return undefined
      throw error
    }
  }

  /** The realm lies where the request came in: not every tool resolves every name of the platform. */
  #challenge(request: FastifyRequest, scope: string | undefined): string {
    const { domain, publicUrl } = this.config
    const host = request.headers.host ?? ''
    const isOurs = [domain, `registry.${domain}`, `croft.${domain}`].includes(host.replace(/:\d+$/, ''))
    const scheme = request.headers['x-forwarded-proto'] === 'https' ? 'https' : new URL(publicUrl).protocol.slice(0, -1)
    const realm = isOurs ? `${scheme}://${host}/v2/token` : `${publicUrl}/v2/token`
    return `Bearer realm="${realm}",service="${domain}"${scope === undefined ? '' : `,scope="${scope}"`}`
  }
}

function isAction(action: string): action is RepositoryAction {
  return Object.hasOwn(ASKS, action)
}

function grants(scopes: readonly RegistryScope[], name: string, action: RepositoryAction): boolean {
  return scopes.some((scope) => scope.type === 'repository' && scope.name === name && scope.actions.includes(action))
}

function digestOf(image: string | null | undefined): Digest | undefined {
  return image !== null && image !== undefined && isDigest(image) ? image : undefined
}
