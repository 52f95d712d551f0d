import { describe, expect, it } from 'vitest'
import * as errors from '../../errors.js'
import { errorFromWire, errorToWire } from './error-body.js'

const made = [
  new errors.ContainerNotFoundError('c'),
  new errors.ProcessNotFoundError('p'),
  new errors.ExecutableNotFoundError('sh'),
  new errors.UserNotFoundError('alice'),
  new errors.AlreadyInUseError("Handle 'c'"),
  new errors.InvalidSpecError('wrong', { field: 'why' }),
  new errors.ImageError('no image'),
  new errors.StreamError('in', 'cut short'),
  new errors.StreamError('out', 'not there'),
  new errors.ContainerPausedError('c'),
  new errors.LimitBelowUseError('memory'),
  new errors.NotSupportedError('freezing', 'use another'),
  new errors.EventsGoneError(),
  new errors.ServiceUnavailableError('full'),
  new errors.UnrecoverableError('broken'),
]

describe('an error that crosses the wire', () => {
  it.each(made.map((error) => [`${error.constructor.name} ${error.code}`, error] as const))(
    'is %s again',
    (_name, error) => {
      const { status, body } = errorToWire(error)
      const back = errorFromWire(status, JSON.parse(JSON.stringify(body)))
      expect(back).toBeInstanceOf(error.constructor)
      for (const field of [
        'message',
        'code',
        'status',
        'type',
        'isRetryable',
        'handle',
        'processId',
        'fields',
      ] as const)
        expect(back[field], field).toEqual(error[field])
    },
  )

  it('is tried here for every class there is', () => {
    const classes = Object.values(errors).filter((one) => one !== errors.GardenError)
    expect(new Set(made.map((error) => error.constructor))).toEqual(new Set(classes))
  })
})
