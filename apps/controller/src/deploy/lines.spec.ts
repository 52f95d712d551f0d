import { describe, expect, it } from 'vitest'
import { noteLine, stepLine } from './lines.js'

describe('lines of a deployment', () => {
  it('end with the time of the step in one column', () => {
    expect(stepLine('Starting web.1 ... healthy', 412)).toBe(
      '-----> Starting web.1 ... healthy                            0.4 s',
    )
    expect(stepLine('x'.repeat(80), 2_060)).toBe(`-----> ${'x'.repeat(80)}   2.1 s`)
  })

  it('that only inform are details', () => {
    expect(noteLine('router local has not answered for 30 s')).toBe('       router local has not answered for 30 s')
  })
})
