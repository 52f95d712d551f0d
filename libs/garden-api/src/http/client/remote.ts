import type { Clock } from '@croft/kit'
import { NotSupportedError } from '../../errors.js'
import { list, object, text } from '../codec/fields.js'
import type { Feature } from '../features.js'
import type { Transport } from './transport.js'
import { understandFields } from './understand.js'

const pingFields = object({ api: text(), features: list(text()) })

/** The server on the other side, and what it speaks beyond Garden. */
export class Remote {
  #features: Promise<ReadonlySet<string>> | undefined

  constructor(
    readonly transport: Transport,
    readonly clock: Clock,
  ) {}

  /** Asked once; real Garden announces none. */
  async features(): Promise<ReadonlySet<string>> {
    this.#features ??= this.ping().catch((error: unknown) => {
      this.#features = undefined
      throw error
    })
    return await this.#features
  }
  async has(feature: Feature): Promise<boolean> {
    return (await this.features()).has(feature)
  }
  /** @throws NotSupportedError when the server does not announce it */
  async need(feature: Feature, what: string): Promise<void> {
    if (!(await this.has(feature)))
      throw new NotSupportedError(
        what,
        `The server's ping does not announce ${feature}: it is another Garden, or an older one`,
      )
  }
  async ping(): Promise<ReadonlySet<string>> {
    const answer = await this.transport.json({ method: 'GET', path: '/ping' })
    const wire = understandFields('ping', pingFields, answer)
    return new Set(wire.features)
  }
}
