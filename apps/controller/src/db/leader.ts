import { hostname } from 'node:os'
import { randomBytes } from 'node:crypto'
import { CroftError } from '@croft/kit'
import type { DataSource, EntityManager } from 'typeorm'

/** Somebody else leads by now: what this process was about to write is not written. */
export class NotLeader extends CroftError {
  constructor(name: string) {
    super({ code: 'not-leader', status: 503, title: `another controller leads ${name} now`, kind: 'system' })
  }
}

export interface LeadershipOptions {
  /** What is led, e.g. `schedule`. */
  name: string
  homeId: string
  /** A leader that was not heard of for this long can be followed by another one. */
  leaseMs: number
}

/**
 * A lease on the database's clock. Every takeover raises the term, and `guard` makes a transaction fail when the term is no
 * longer ours, so that a process that slept through its lease writes nothing. A new process of the same home on the same host takes
 * over at once (the supervisor runs one), but one that lost its term waits like everybody else.
 */
export class Leadership {
  readonly #dataSource: DataSource
  readonly #options: LeadershipOptions
  readonly #place: string
  readonly #holder: string
  #term: number | null = null
  #renewedAtMs = 0
  #isFirst = true

  constructor(dataSource: DataSource, options: LeadershipOptions) {
    this.#dataSource = dataSource
    this.#options = options
    this.#place = `${options.homeId}@${hostname()}`
    this.#holder = `${this.#place}/${process.pid}-${randomBytes(4).toString('hex')}`
  }

  get term(): number | null {
    return this.#term
  }

  /** Renews the lease or takes it when it is free; whether this process leads. */
  async ensure(): Promise<boolean> {
    const askedAtMs = performance.now()
    if (this.#term !== null && askedAtMs - this.#renewedAtMs < this.#options.leaseMs / 3) return true
    if (this.#term === null || !(await this.#renew(this.#term))) {
      this.#term = await this.#take()
      this.#isFirst = false
    }
    this.#renewedAtMs = askedAtMs
    return this.#term !== null
  }

  /** Ties a transaction to the term. @throws NotLeader */
  async guard(manager: EntityManager): Promise<void> {
    const rows = await manager.query<unknown[]>(
      'SELECT FROM leader WHERE name = $1 AND term = $2 AND holder = $3 AND expires_at > now() FOR SHARE',
      [this.#options.name, this.#term ?? -1, this.#holder],
    )
    if (rows.length === 0) throw new NotLeader(this.#options.name)
  }

  /** Lets the next one lead at once. */
  async release(): Promise<void> {
    if (this.#term === null) return
    await this.#dataSource.query('UPDATE leader SET expires_at = now() WHERE name = $1 AND term = $2 AND holder = $3', [
      this.#options.name,
      this.#term,
      this.#holder,
    ])
    this.#term = null
  }

  async #renew(term: number): Promise<boolean> {
    const [rows] = await this.#dataSource.query<[unknown[], number]>(
      `UPDATE leader SET expires_at = now() + make_interval(secs => $4)
       WHERE name = $1 AND term = $2 AND holder = $3 RETURNING term`,
      [this.#options.name, term, this.#holder, this.#options.leaseMs / 1000],
    )
    return rows.length > 0
  }

  async #take(): Promise<number | null> {
    const rows = await this.#dataSource.query<{ term: string }[]>(
      `INSERT INTO leader (name, term, holder, expires_at) VALUES ($1, 1, $2, now() + make_interval(secs => $3))
       ON CONFLICT (name) DO UPDATE SET term = leader.term + 1, holder = excluded.holder, expires_at = excluded.expires_at
       WHERE leader.expires_at <= now() OR ($4 AND split_part(leader.holder, '/', 1) = $5)
       RETURNING term`,
      [this.#options.name, this.#holder, this.#options.leaseMs / 1000, this.#isFirst, this.#place],
    )
    return rows[0] === undefined ? null : Number(rows[0].term)
  }
}
