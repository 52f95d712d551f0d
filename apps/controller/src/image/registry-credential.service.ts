import { Inject, Injectable } from '@nestjs/common'
import { CroftError, type TeamId } from '@croft/kit'
import { parseReference, type RegistryCredentials } from '@croft/oci'
import type { DataSource } from 'typeorm'
import type { Keyring } from '../app/keyring.js'
import { KEYRING } from '../app/keyring-token.js'
import type { Principal } from '../auth/principal.js'
import { EventService } from '../event/event.service.js'
import { DATA_SOURCE } from '../tokens.js'
import { RegistryCredential } from './registry-credential.entity.js'

/** What is no host of a registry. */
export class InvalidRegistryHost extends CroftError {
  constructor(host: string) {
    super({
      code: 'registry-host',
      status: 400,
      title: `${JSON.stringify(host.slice(0, 100))} is no host of a registry`,
      fields: { host: 'is no host' },
      suggestion: 'write it as in a reference: docker.io, ghcr.io, registry.example:5000',
    })
  }
}

/** The writer of `registry_credential`: passwords of foreign registries, sealed like config vars and shown to nobody. */
@Injectable()
export class RegistryCredentialService {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(KEYRING) private readonly keyring: Keyring,
    @Inject(EventService) private readonly events: EventService,
  ) {}

  /** By host; no passwords. */
  async list(teamId: TeamId): Promise<RegistryCredential[]> {
    return this.dataSource.getRepository(RegistryCredential).find({ where: { teamId }, order: { host: 'ASC' } })
  }

  /** @throws InvalidRegistryHost */
  async set(principal: Principal, host: string, credentials: RegistryCredentials): Promise<void> {
    if (!isHost(host)) throw new InvalidRegistryHost(host)
    const { teamId } = principal
    const password = this.keyring.seal(Buffer.from(credentials.password), contextOf(teamId, host))
    await this.dataSource.query(
      `INSERT INTO registry_credential (team_id, host, username, password) VALUES ($1, $2, $3, $4)
       ON CONFLICT (team_id, host) DO UPDATE
       SET username = excluded.username, password = excluded.password, updated_at = now()`,
      [teamId, host, credentials.username, JSON.stringify(password)],
    )
    await this.#tell(principal, `credentials for ${host} were set`)
  }

  /** Whether there were any. */
  async remove(principal: Principal, host: string): Promise<boolean> {
    const { affected } = await this.dataSource
      .getRepository(RegistryCredential)
      .delete({ teamId: principal.teamId, host })
    if (affected === 1) await this.#tell(principal, `credentials for ${host} were removed`)
    return affected === 1
  }

  /** What a team has for a host, or null. @throws SealBroken */
  async of(teamId: TeamId, host: string): Promise<RegistryCredentials | null> {
    const row = await this.dataSource.getRepository(RegistryCredential).findOneBy({ teamId, host })
    if (row === null) return null
    const password = this.keyring.open(row.password, contextOf(teamId, host), `the password of ${host}`)
    return { username: row.username, password: password.toString('utf8') }
  }

  async #tell(principal: Principal, message: string): Promise<void> {
    await this.events.append({
      teamId: principal.teamId,
      appId: null,
      kind: 'registry-credentials-changed',
      message,
      actor: principal.name,
    })
  }
}

function isHost(host: string): boolean {
  if (host === 'docker.io') return true
  try {
    return parseReference(`${host}/x`).host === host
  } catch {
    return false
  }
}

function contextOf(teamId: TeamId, host: string): string {
  return `croft/registry/${teamId}/${host}`
}
