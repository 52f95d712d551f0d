import { expect, it } from 'vitest'
import { parseAnswer } from './start.js'

it.each([
  ['ready 4711\n', { kind: 'ready', pid: 4711 }],
  ['error overlay root: Invalid argument\n', { kind: 'error', why: 'overlay root: Invalid argument' }],
  ['', { kind: 'error', why: 'the shim ended without a word' }],
  ['ready -1\n', { kind: 'error', why: 'the shim ended without a word' }],
])('a shim that says %j is understood', (text, answer) => {
  expect(parseAnswer(text)).toEqual(answer)
})
