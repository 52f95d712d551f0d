import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { messageOf } from '@croft/kit'
import type { Redis } from 'ioredis'
import type { DataSource } from 'typeorm'
import { DATA_SOURCE, REDIS } from '../tokens.js'

/** A node reports every second and is lost after ten. */
const NODE_SILENCE_SECONDS = 10
/** A router's long poll takes up to 20 s. */
const ROUTER_SILENCE_SECONDS = 30

export interface Check {
  name: 'database' | 'redis' | 'node' | 'router'
  isOk: boolean
  /** One line for a person; null while all is well. */
  detail: string | null
}

/** Whether a push would go through: what `croft status` and `up` wait for. */
@Injectable()
export class HealthService implements OnModuleInit {
  /** On the database's clock: reports of before our start say nothing about now. */
  #startedAt = new Date(0)

  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(REDIS) private readonly redis: Redis,
  ) {}

  async onModuleInit(): Promise<void> {
    const [row] = await this.dataSource.query<{ now: Date }[]>('SELECT now() AS now')
    this.#startedAt = row?.now ?? new Date(0)
  }

  async checks(): Promise<Check[]> {
    const [reports, redis] = await Promise.all([this.#reports(), this.#redis()])
    return [...reports, redis]
  }

  async #reports(): Promise<Check[]> {
    try {
      const [row] = await this.dataSource.query<{ node: boolean; router: boolean }[]>(
        `SELECT EXISTS (SELECT FROM node
           WHERE last_report_at > greatest($1::timestamptz, now() - make_interval(secs => $2))) AS node,
         EXISTS (SELECT FROM router
           WHERE last_poll_at > greatest($1::timestamptz, now() - make_interval(secs => $3))) AS router`,
        [this.#startedAt, NODE_SILENCE_SECONDS, ROUTER_SILENCE_SECONDS],
      )
      return [
        check('database', undefined),
        check('node', row?.node === true ? undefined : 'no executor has reported yet'),
        check('router', row?.router === true ? undefined : 'no router has asked for its table yet'),
      ]
    } catch (error) {
      const unknown = 'unknown: the database does not answer'
      return [check('database', messageOf(error)), check('node', unknown), check('router', unknown)]
    }
  }

  async #redis(): Promise<Check> {
    try {
      await this.redis.ping()
      return check('redis', undefined)
    } catch (error) {
      return check('redis', messageOf(error))
    }
  }
}

function check(name: Check['name'], trouble: string | undefined): Check {
  return { name, isOk: trouble === undefined, detail: trouble ?? null }
}
