import { afterAll, afterEach, beforeAll } from 'vitest'
import { PushRig } from './push-rig.js'

/** One rig for all specs of a file, handed over before the first. What a spec changes of its script counts for that spec only. */
export function usePushRig(take: (rig: PushRig) => void): void {
  let rig: PushRig | undefined
  beforeAll(async () => {
    rig = await PushRig.start()
    take(rig)
  })
  afterEach(() => rig?.behaveAsEver())
  afterAll(async () => await rig?.close())
}
