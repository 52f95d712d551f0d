import { Inject, Injectable } from '@nestjs/common'
import type { AppId, TeamId } from '@croft/kit'
import type { DataSource, EntityManager } from 'typeorm'
import { DATA_SOURCE } from '../tokens.js'
import { EventRow } from './event.entity.js'

export interface NewEvent {
  teamId: TeamId
  appId: AppId | null
  /** Kebab-case, e.g. `app-created`. */
  kind: string
  /** One line for a person; never a secret. */
  message: string
  /** Who did it: a principal's name, or a part of the platform. */
  actor: string
}

/** The writer of `event`: what happened, for people. Append-only. */
@Injectable()
export class EventService {
  constructor(@Inject(DATA_SOURCE) private readonly dataSource: DataSource) {}

  /** Appends, in the caller's transaction when one is given. */
  async append(event: NewEvent, manager: EntityManager = this.dataSource.manager): Promise<void> {
    await manager.getRepository(EventRow).insert(event)
  }
}
