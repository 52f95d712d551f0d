import { Inject, Injectable } from '@nestjs/common'
import { CroftError, type TeamId } from '@croft/kit'
import type { DataSource } from 'typeorm'
import { DATA_SOURCE } from '../tokens.js'
import { Team } from './team.entity.js'

/** The first team, made at the first start and owned by the operator. */
export const MAIN_TEAM = 'main'

/** A team that does not exist, or is not the principal's: the answer is the same. */
export class TeamNotFound extends CroftError {
  constructor(name: string, own: string) {
    super({
      code: 'team-not-found',
      status: 404,
      title: `there is no team ${name} for this token`,
      suggestion: `use --team ${own}, or leave it out`,
    })
  }
}

/** The writer of `team`. */
@Injectable()
export class TeamService {
  constructor(@Inject(DATA_SOURCE) private readonly dataSource: DataSource) {}

  /** Team `main`, made when there is none. */
  async ensureMain(): Promise<Team> {
    await this.dataSource.query('INSERT INTO team (name) VALUES ($1) ON CONFLICT (name) DO NOTHING', [MAIN_TEAM])
    return this.dataSource.getRepository(Team).findOneByOrFail({ name: MAIN_TEAM })
  }

  /** The team of an id that comes from a row of ours. */
  async get(id: TeamId): Promise<Team> {
    return this.dataSource.getRepository(Team).findOneByOrFail({ id })
  }

  /**
   * The team a principal means: its own, whether it says so or not.
   * @throws TeamNotFound when `wanted` is another one.
   */
  async choose(own: TeamId, wanted: string | undefined): Promise<Team> {
    const team = await this.get(own)
    if (wanted !== undefined && wanted !== team.name) throw new TeamNotFound(wanted, team.name)
    return team
  }
}
