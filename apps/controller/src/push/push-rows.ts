import { Inject, Injectable } from '@nestjs/common'
import type { AppId, PushId } from '@croft/kit'
import { In, type DataSource } from 'typeorm'
import { DATA_SOURCE } from '../tokens.js'
import { Push } from './push.entity.js'
import { pushMachine } from './push.machine.js'

type MachineEvent = Parameters<typeof pushMachine.next>[1]
type NewPush = Omit<Push, 'state' | 'reason' | 'message' | 'releaseVersion' | 'createdAt' | 'updatedAt'>

/** The rows of pushes: inserted as `received`, then moved by the machine only. Writer: push. */
@Injectable()
export class PushRows {
  constructor(@Inject(DATA_SOURCE) private readonly dataSource: DataSource) {}

  async newId(): Promise<PushId> {
    const rows: { id: PushId }[] = await this.dataSource.query('SELECT uuidv7() AS id')
    const id = rows[0]?.id
    if (id === undefined) throw new Error('PostgreSQL gave no id')
    return id
  }

  async insert(push: NewPush): Promise<void> {
    await this.#pushes().insert({ ...push, state: 'received' })
  }

  async find(id: PushId): Promise<Push | null> {
    return this.#pushes().findOneBy({ id })
  }

  /** The push of an app that went through last; not always the one that came last. */
  async lastCommitted(appId: AppId): Promise<Push | null> {
    const order = { updatedAt: 'DESC', id: 'DESC' } as const
    return this.#pushes().findOne({ where: { appId, state: 'committed' }, order })
  }

  /** Every push that has not ended, oldest first. */
  async open(): Promise<Push[]> {
    const states = pushMachine.states.filter((state) => !pushMachine.isFinal(state))
    return this.#pushes().find({ where: { state: In(states) }, order: { id: 'ASC' } })
  }

  /**
   * One move of the machine, by compare-and-swap; a push that has ended already stays as it is.
   * @throws IllegalTransition when the push is in a state the event does not leave
   */
  async move(
    id: PushId,
    event: MachineEvent,
    change: Partial<Pick<Push, 'reason' | 'message' | 'releaseVersion'>> = {},
  ): Promise<void> {
    for (const from of pushMachine.from(event)) {
      const to = pushMachine.next(from, event)
      const { affected } = await this.#pushes().update(
        { id, state: from },
        { ...change, state: to, updatedAt: () => 'now()' },
      )
      if (affected === 1) return
    }
    const push = await this.find(id)
    if (push !== null && !pushMachine.isFinal(push.state)) pushMachine.next(push.state, event)
  }

  #pushes() {
    return this.dataSource.getRepository(Push)
  }
}
