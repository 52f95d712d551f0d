import type { InstanceId } from '@croft/kit'
import type { InstanceReason } from '@croft/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextSteps, SURGE_LIMIT, type InstanceView, type Situation, type Slot, type Step } from './strategy.js'

const slots = (quantity: number, type = 'web'): Slot[] =>
  Array.from({ length: quantity }, (_, index) => ({ type, slot: index + 1 }))

const view = (id: string, changes: Partial<InstanceView> = {}): InstanceView => ({
  id: id as InstanceId,
  type: 'web',
  slot: 1,
  side: 'new',
  observed: 'starting',
  isServing: false,
  ageMs: 1_000,
  placementError: null,
  reason: null,
  message: null,
  crashesBeforeReady: 0,
  lastLines: [],
  ...changes,
})
const serving = { observed: 'ready', isServing: true } as const
const former = { side: 'former', ...serving } as const

const situation = (changes: Partial<Situation> = {}): Situation => ({
  state: 'rolling',
  wanted: slots(1),
  formerWanted: slots(1),
  instances: [],
  bootTimeoutMs: 60_000,
  stateAgeMs: 0,
  ...changes,
})
const kinds = (steps: readonly Step[]): string[] =>
  steps.map((step) =>
    step.kind === 'start'
      ? `start ${step.side} ${step.type}.${step.slot}`
      : step.kind === 'drain'
        ? `drain ${step.instance}`
        : step.kind,
  )

describe('a deployment that begins', () => {
  it('rolls and starts every slot at once', () => {
    expect(kinds(nextSteps(situation({ state: 'pending', wanted: slots(2) })))).toEqual([
      'roll',
      'start new web.1',
      'start new web.2',
    ])
  })

  it('starts no more at a time than the surge limit', () => {
    const steps = nextSteps(situation({ state: 'pending', wanted: slots(30) }))
    expect(steps.filter((step) => step.kind === 'start')).toHaveLength(SURGE_LIMIT)
  })

  it('of an app scaled to zero succeeds without starting anything', () => {
    expect(kinds(nextSteps(situation({ wanted: [] })))).toEqual(['succeed'])
  })
})

describe('a deployment that rolls', () => {
  it('drains nothing while the new instance is only ready, not yet routed to everywhere', () => {
    const instances = [view('old', former), view('new', { observed: 'ready' })]
    expect(nextSteps(situation({ instances }))).toEqual([])
  })

  it('drains the old instance of a slot as soon as the new one serves, before the other slots are done', () => {
    const instances = [
      view('old1', former),
      view('old2', { ...former, slot: 2 }),
      view('new1', serving),
      view('new2', { slot: 2 }),
    ]
    expect(kinds(nextSteps(situation({ wanted: slots(2), instances })))).toEqual(['drain old1'])
  })

  it('succeeds in the step that drains what is left', () => {
    const instances = [view('old', former), view('surplus', { ...former, slot: 2 }), view('new', serving)]
    expect(kinds(nextSteps(situation({ instances })))).toEqual(['drain old', 'drain surplus', 'succeed'])
  })

  it('follows a formation that changed meanwhile', () => {
    const instances = [view('new1', serving), view('new2', { slot: 2 })]
    expect(kinds(nextSteps(situation({ instances })))).toEqual(['drain new2', 'succeed'])
    expect(kinds(nextSteps(situation({ instances, wanted: slots(3) })))).toEqual(['start new web.3'])
  })

  it.each<[string, Partial<InstanceView>, string | null]>([
    ['two crashes', { observed: 'backoff', crashesBeforeReady: 2, reason: 'crashed' }, null],
    ['three crashes', { observed: 'backoff', crashesBeforeReady: 3, reason: 'crashed' }, 'boot-crash'],
    ['one boot time-out', { observed: 'backoff', crashesBeforeReady: 1, reason: 'boot-timeout' }, 'boot-crash'],
    ['one wrong port', { observed: 'starting', crashesBeforeReady: 1, reason: 'port-wrong' }, 'boot-crash'],
    ['a hint about the port before the time is up', { observed: 'starting', reason: 'port-closed' }, null],
    ['silence within the time', { observed: null, ageMs: 90_000 }, null],
    ['silence beyond the time', { observed: null, ageMs: 90_001 }, 'not-ready'],
    ['no room for a moment', { observed: null, placementError: 'full', ageMs: 9_000 }, null],
    ['no room for long', { observed: null, placementError: 'full', ageMs: 11_000 }, 'not-placed'],
    ['a crash of one that serves again', { ...serving, crashesBeforeReady: 3 }, 'succeed'],
  ])('judges %s', (_what, changes, outcome) => {
    const [step] = nextSteps(situation({ formerWanted: [], instances: [view('new', changes)] }))
    expect(step?.kind === 'revert' ? step.failure.kind : (step?.kind ?? null)).toBe(outcome)
  })
})

describe('a deployment that reverts', () => {
  const revert = (instances: InstanceView[], changes: Partial<Situation> = {}): string[] =>
    kinds(nextSteps(situation({ state: 'reverting', instances, ...changes })))

  it('drains the new ones and has failed when the former release is whole', () => {
    expect(revert([view('old', former), view('new')])).toEqual(['drain new', 'fail'])
  })

  it('starts again what was drained already, and keeps what serves until that serves', () => {
    expect(revert([view('new', serving)])).toEqual(['start former web.1'])
    expect(revert([view('new', serving), view('old', { side: 'former' })])).toEqual([])
    expect(revert([view('new', serving), view('old', former)])).toEqual(['drain new', 'fail'])
  })

  it('of a first deployment just ends everything', () => {
    expect(revert([view('new', serving)], { formerWanted: [] })).toEqual(['drain new', 'fail'])
  })

  it('does not wait forever for a former release that does not come back', () => {
    const instances = [view('new', serving), view('old', { side: 'former' })]
    expect(revert(instances, { stateAgeMs: 121_000 })).toEqual(['drain new', 'fail'])
  })
})

/** What may happen to a new instance in a turn of the model. */
type Event = 'ready' | 'acknowledged' | 'crash' | 'nothing'
const FATAL: InstanceReason = 'boot-timeout'

describe('any deployment, whatever happens in between', () => {
  const events = fc.array(
    fc.array(fc.constantFrom<Event>('ready', 'acknowledged', 'acknowledged', 'crash', 'nothing'), {
      minLength: 16,
      maxLength: 16,
    }),
    { minLength: 40, maxLength: 40 },
  )
  it('never serves with fewer instances than before and wanted, never goes back to running, and ends', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 12 }),
        fc.integer({ min: 0, max: 12 }),
        fc.boolean(),
        events,
        (before, after, mayCrash, turns) => {
          const model = new Model(before, after)
          const floor = Math.min(before, after)
          for (const turn of turns) {
            model.step()
            expect(model.servingCount()).toBeGreaterThanOrEqual(floor)
            if (model.end !== null) break
            model.happen(turn.map((event) => (event === 'crash' && !mayCrash ? 'nothing' : event)))
          }
          for (let turn = 0; turn < 60 && model.end === null; turn += 1) {
            model.happen(Array.from({ length: 16 }, () => (turn % 2 === 0 ? 'ready' : 'acknowledged')))
            model.step()
            expect(model.servingCount()).toBeGreaterThanOrEqual(floor)
          }
          expect(model.end).not.toBeNull()
          const left = model.instances.map(({ side }) => side)
          if (model.end === 'succeed') expect(left).toEqual(Array.from({ length: after }, () => 'new'))
          else expect(left).toEqual(Array.from({ length: before }, () => 'former'))
        },
      ),
      { seed: 6, numRuns: 200 },
    )
  })
})

/** A world in which steps take effect at once and the rest happens as told. */
class Model {
  instances: InstanceView[]
  end: 'succeed' | 'fail' | null = null
  #state: Situation['state'] = 'pending'
  #count = 0

  constructor(
    private readonly before: number,
    private readonly after: number,
  ) {
    this.instances = slots(before).map((slot) => view(`old${slot.slot}`, { ...former, ...slot }))
  }

  servingCount(): number {
    return this.instances.filter((instance) => instance.isServing).length
  }

  step(): void {
    const steps = nextSteps(
      situation({
        state: this.#state,
        wanted: slots(this.after),
        formerWanted: slots(this.before),
        instances: this.instances,
      }),
    )
    for (const step of steps) this.#take(step)
  }

  happen(events: readonly Event[]): void {
    this.instances = this.instances.map((instance, index): InstanceView => {
      if (instance.isServing) return instance
      switch (events[index % events.length]) {
        case 'ready':
          return { ...instance, observed: 'ready' }
        case 'acknowledged':
          return instance.observed === 'ready' ? { ...instance, isServing: true } : instance
        case 'crash':
          return instance.observed === 'ready' || instance.side !== 'new'
            ? instance
            : { ...instance, crashesBeforeReady: 1, reason: FATAL }
        default:
          return instance
      }
    })
  }

  #take(step: Step): void {
    switch (step.kind) {
      case 'roll':
        this.#state = 'rolling'
        return
      case 'revert':
        this.#state = 'reverting'
        return
      case 'succeed':
      case 'fail':
        this.end = step.kind
        return
      case 'drain':
        this.instances = this.instances.filter((instance) => instance.id !== step.instance)
        return
      case 'start':
        this.#count += 1
        this.instances.push(view(`${step.side}${this.#count}`, { side: step.side, type: step.type, slot: step.slot }))
    }
  }
}
