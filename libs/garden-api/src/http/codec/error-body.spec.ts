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

describe('an error on the wire', () => {
  it("has Garden's five strings, in which clients find the type, and ours beside them", () => {
    expect(errorToWire(new errors.ContainerNotFoundError('h'))).toEqual({
      status: 404,
      body: {
        Type: 'ContainerNotFoundError',
        Message: 'unknown handle: h',
        Handle: 'h',
        ProcessID: '',
        Binary: '',
        Code: 'container-not-found',
        Retryable: false,
        Details: {},
      },
    })
  })

  it('that nobody foresaw is 500 with its message and no stack', () => {
    const wire = errorToWire(new TypeError('oops'))
    expect(wire).toMatchObject({ status: 500, body: { Type: '', Message: 'oops', Code: 'internal' } })
    expect(JSON.stringify(wire)).not.toContain('error-body.spec')
  })

  it.each([
    [{ Type: 'ContainerNotFoundError', Message: 'unknown handle: h', Handle: 'h' }, errors.ContainerNotFoundError],
    [{ Type: 'ProcessNotFoundError', Message: 'unknown process: p', ProcessID: 'p' }, errors.ProcessNotFoundError],
    [{ Type: 'ExecutableNotFoundError', Message: 'exec: "x"' }, errors.ExecutableNotFoundError],
    [{ Type: '', Message: "Handle 'h' already in use" }, errors.AlreadyInUseError],
    [{ Type: '', Message: "process ID 'p' already in use" }, errors.AlreadyInUseError],
    [{ Type: '', Message: 'unable to find user bob: no matching entries in passwd file' }, errors.UserNotFoundError],
    [{ Type: '', Message: 'stream-in: nstar: error streaming in: exit 2. Output: tar' }, errors.StreamError],
    [{ Type: '', Message: 'max containers reached' }, errors.ServiceUnavailableError],
    [{ Type: '', Message: 'something else' }, errors.GardenError],
    [{ Message: 'plain text' }, errors.GardenError],
    ['404 page not found', errors.GardenError],
    [null, errors.GardenError],
  ])("of real Garden's, %j, is known by its type or its words", (body, kind) => {
    const error = errorFromWire(500, body)
    expect(error).toBeInstanceOf(kind)
    if (typeof body === 'object' && body !== null) expect(error.message).toBe(body.Message)
  })
})
