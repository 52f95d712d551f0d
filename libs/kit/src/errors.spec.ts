import { describe, expect, it } from 'vitest'
import { CroftError, toProblem } from './errors.js'

describe('problem documents', () => {
  it('carry code, title, cause, remedy and the request id of an expected failure', () => {
    const error = new CroftError({
      code: 'no-room',
      status: 409,
      title: 'No node has room',
      detail: 'largest 380 MiB',
      suggestion: 'scale down or add one',
    })
    expect(toProblem(error, { requestId: 'r1' })).toEqual({
      type: 'https://croft.dev/problems/no-room',
      title: 'No node has room',
      status: 409,
      code: 'no-room',
      detail: 'largest 380 MiB',
      suggestion: 'scale down or add one',
      requestId: 'r1',
    })
  })
  it('say nothing of an unexpected failure but that it happened', () => {
    const problem = toProblem(new Error('password=hunter2 in /root/secret'), { requestId: 'r2' })
    expect(problem.status).toBe(500)
    expect(JSON.stringify(problem)).not.toMatch(/hunter2|secret/)
  })
  it('blame the system for 5xx and the user for the rest, unless told otherwise', () => {
    expect(new CroftError({ code: 'a', status: 503, title: 'a' }).kind).toBe('system')
    expect(new CroftError({ code: 'a', status: 404, title: 'a' }).kind).toBe('user')
  })
})

describe('an expected failure', () => {
  const foreign = Object.assign(new Error('of a bundle beside us'), { [Symbol.for('croft.error')]: true })
  class Special extends CroftError {}
  it('is one whichever copy of this module made it', () => {
    expect(foreign).toBeInstanceOf(CroftError)
    expect(new Error('unexpected')).not.toBeInstanceOf(CroftError)
  })
  it('is of a special kind only when it was made so', () => {
    expect(foreign).not.toBeInstanceOf(Special)
    expect(new Special({ code: 'a', status: 404, title: 'a' })).toBeInstanceOf(Special)
  })
})
