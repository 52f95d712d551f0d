import { isDeepStrictEqual } from 'node:util'
import type { Container, ContainerSpec } from '@croft/garden-api'
import { messageOf } from '@croft/kit'
import type { DesiredInstance, ServiceSpec } from '@croft/protocol'
import type { Made, SpareContainer, SpareNames } from '../spare/spare-container.js'
import { containerSpec } from './container-spec.js'
import { likelyNext, type BuiltImage } from './likely-next.js'
import type { InstancePorts } from './ports.js'

/** A container made in advance for an instance. */
interface MadeService extends Made {
  spec: ContainerSpec
}
/** One that is kept for some seconds is made at once: a deployment follows. */
export type ServiceSpare = SpareContainer<MadeService>

type NextPorts = Pick<InstancePorts, 'backend' | 'ensureImage' | 'turnAtCreating' | 'logger'>

/**
 * The container of the instance that a build which has just ended is likely to be followed by: made while the controller makes a
 * release of it, and taken when it is, word for word, what the instance would make itself.
 */
export class NextService {
  constructor(
    private readonly spare: ServiceSpare,
    private readonly ports: NextPorts,
  ) {}

  /** An image stands on this node. Returns at once; nothing is made when no instance of the app is here. */
  prepare(built: BuiltImage, present: readonly DesiredInstance[]): void {
    const { backend, ensureImage, turnAtCreating } = this.ports
    const item = likelyNext(built, present)
    if (item === null) return
    this.spare.prepare({ whose: nameOf(item), image: built.image }, async (names, signal) => {
      const spec = nobodysSpec(item, item.spec, names)
      await ensureImage(item.appId, item.spec.image, signal)
      const container = await turnAtCreating(async () => {
        signal.throwIfAborted()
        return await backend.create(spec, signal)
      })
      return { container, spec }
    })
  }

  /**
   * The container for an instance that has had none, at the address that is the instance's from now on; null: it makes its own. The
   * container becomes the instance's before the address does: whoever finds a container of an instance that is to be made
   * destroys it first, and so never meets the address in use.
   */
  async take(
    item: DesiredInstance,
    spec: ServiceSpec,
    signal: AbortSignal,
  ): Promise<{ container: Container; address: string } | null> {
    const taken = await this.spare.take(nameOf(item), signal)
    if (taken === null) return null
    const { container, names } = taken
    try {
      if (!isDeepStrictEqual(taken.spec, nobodysSpec(item, spec, names))) {
        this.ports.logger.info('spare-not-like', { handle: names.handle, instance: item.id })
      } else if ((await taken.becomes(item.id)) && (await taken.givesAddress(item.id))) {
        return { container, address: names.address }
      }
    } catch (error) {
      this.ports.logger.warn('spare-not-taken', { handle: names.handle, why: messageOf(error) })
    }
    void taken.release()
    return null
  }
}

/** Others of the app leave it to whom it was made for. */
function nameOf({ appId, type, slot }: DesiredInstance): string {
  return `${appId} ${type}.${slot}`
}

/** What an instance wants of its container, while it is nobody's but the spare's own. */
function nobodysSpec(item: DesiredInstance, spec: ServiceSpec, { id, handle, address }: SpareNames): ContainerSpec {
  return containerSpec({ ...item, id }, spec, { handle, ip: address })
}
