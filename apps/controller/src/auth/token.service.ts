import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import type { Logger, TeamId } from '@croft/kit'
import { messageOf } from '@croft/kit'
import type { DataSource } from 'typeorm'
import type { ControllerConfig } from '../config.js'
import { TeamService } from '../team/team.service.js'
import { CONFIG, DATA_SOURCE, LOGGER } from '../tokens.js'
import type { Principal } from './principal.js'
import type { Role } from './roles.js'
import { mintToken, tokenSha256 } from './token-text.js'
import { Token } from './token.entity.js'

/** Tokens of people and machines live this long unless said otherwise; the operator's does not expire. */
const DEFAULT_LIFETIME_DAYS = 90

export interface NewToken {
  teamId: TeamId
  role: Exclude<Role, 'operator'>
  description: string
  /** Default: 90 days from now. */
  expiresAt?: Date
}

/** The writer of `token`: issues, finds by hash, revokes. The text of a token exists only in the answer that issued it. */
@Injectable()
export class TokenService implements OnModuleInit {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: ControllerConfig,
    @Inject(TeamService) private readonly teams: TeamService,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** The host's operator token is the one the supervisor keeps in `<home>/operator-token`: an older one is revoked. */
  async onModuleInit(): Promise<void> {
    const main = await this.teams.ensureMain()
    const sha256 = this.config.operatorTokenSha256
    await this.dataSource.transaction(async (manager) => {
      await manager.query(
        `UPDATE token SET revoked_at = now() WHERE role = 'operator' AND sha256 <> $1 AND revoked_at IS NULL`,
        [sha256],
      )
      await manager.query(
        `INSERT INTO token (team_id, role, sha256, description) VALUES ($1, 'operator', $2, 'operator')
         ON CONFLICT (sha256) DO UPDATE SET revoked_at = NULL`,
        [main.id, sha256],
      )
    })
  }

  /** Issues a token; its text is never shown again. */
  async create(wanted: NewToken): Promise<{ id: string; token: string; expiresAt: Date }> {
    const token = mintToken()
    const expiresAt = wanted.expiresAt ?? new Date(Date.now() + DEFAULT_LIFETIME_DAYS * 86_400_000)
    const row = await this.dataSource.getRepository(Token).insert({
      teamId: wanted.teamId,
      role: wanted.role,
      sha256: tokenSha256(token),
      description: wanted.description,
      expiresAt,
    })
    return { id: String(row.identifiers[0]?.['id']), token, expiresAt }
  }

  /** Who a token belongs to, or undefined when it is unknown, expired or revoked. */
  async find(token: string): Promise<Principal | undefined> {
    const rows = await this.dataSource.query<
      { id: string; team_id: TeamId; role: Role; description: string; is_stale: boolean }[]
    >(
      `SELECT id, team_id, role, description,
              last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS is_stale
       FROM token WHERE sha256 = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
      [tokenSha256(token)],
    )
    const row = rows[0]
    if (row === undefined) return undefined
    if (row.is_stale) this.#touch(row.id)
    return { tokenId: row.id, teamId: row.team_id, role: row.role, name: row.description }
  }

  /** Who the token of that id belongs to, while it is valid. */
  async byId(id: string): Promise<Principal | undefined> {
    const [row] = await this.dataSource.query<{ team_id: TeamId; role: Role; description: string }[]>(
      `SELECT team_id, role, description FROM token
       WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
      [id],
    )
    return row && { tokenId: id, teamId: row.team_id, role: row.role, name: row.description }
  }

  /** Ends a token of a team at once; whether there was one. */
  async revoke(teamId: TeamId, id: string): Promise<boolean> {
    const result = await this.dataSource
      .createQueryBuilder()
      .update(Token)
      .set({ revokedAt: () => 'now()' })
      .where('id = :id AND team_id = :teamId AND revoked_at IS NULL', { id, teamId })
      .execute()
    return result.affected === 1
  }

  #touch(id: string): void {
    this.dataSource
      .query('UPDATE token SET last_used_at = now() WHERE id = $1', [id])
      .catch((error: unknown) => this.logger.debug('token-touch-failed', { why: messageOf(error) }))
  }
}
