import { expect, it } from 'vitest'
import { mergeEnv } from './environment.js'

it('puts environments together so that the last word counts', () => {
  expect(mergeEnv(['A=1', 'B=1', 'broken'], ['B=2', 'C='], ['A=x=y'])).toEqual(['A=x=y', 'B=2', 'C='])
})
