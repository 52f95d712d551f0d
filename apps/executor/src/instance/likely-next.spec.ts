import { describe, expect, it } from 'vitest'
import type { DesiredInstance } from '@croft/protocol'
import { build, service } from '../testing/desired.js'
import { likelyNext } from './likely-next.js'

const APP = 'a9e0c1f2-0000-4000-8000-000000000001'
const IMAGE = `sha256:${'b'.repeat(64)}`
const own = (type: string, slot = 1, also: Partial<DesiredInstance> = {}): DesiredInstance =>
  service({}, { appId: APP, type, slot, ...also })
const nextOf = (present: DesiredInstance[], types: string[] | null = ['web', 'worker', 'clock']): string | null => {
  const next = likelyNext({ appId: APP, image: IMAGE, types }, present)
  return next === null ? null : `${next.type}.${next.slot}`
}

describe('the instance that a node is likely to be asked for after a build', () => {
  it.each<[string, DesiredInstance[], string | null]>([
    ['is the first web of the app', [own('worker'), own('web', 2), own('web', 1)], 'web.1'],
    ['is another process where no web runs', [own('worker', 2), own('worker', 1)], 'worker.1'],
    ['is none of another app', [service()], null],
    ['is none that is on its way out', [own('web', 1, { intent: 'drain' }), own('web', 2, { intent: 'stop' })], null],
    ['is no build', [{ ...build(), appId: APP }], null],
  ])('%s', (_what, present, expected) => expect(nextOf(present)).toBe(expected))

  it('is one that the new image has, where that is known', () => {
    expect(nextOf([own('web'), own('worker')], ['worker'])).toBe('worker.1')
    expect(nextOf([own('web')], [])).toBeNull()
    expect(nextOf([own('web')], null)).toBe('web.1')
  })

  it('differs from the present one by its image alone', () => {
    const web = own('web')
    const next = likelyNext({ appId: APP, image: IMAGE, types: null }, [web])
    expect(next).toEqual({ ...web, spec: { ...web.spec, image: IMAGE } })
  })
})
