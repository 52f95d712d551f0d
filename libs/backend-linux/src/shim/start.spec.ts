import { expect, it } from 'vitest'
import { parseAnswer, parsePid } from './start.js'

it.each([
  ['pid 17\nready 4711\n', 17, { kind: 'ready', pid: 4711 }],
  ['pid 17\nerror overlay root: Invalid argument\n', 17, { kind: 'error', why: 'overlay root: Invalid argument' }],
  ['pid 17\n', 17, { kind: 'error', why: 'the shim ended without a word' }],
  ['error /no/log: No such file or directory\n', null, { kind: 'error', why: '/no/log: No such file or directory' }],
  ['', null, { kind: 'error', why: 'the shim ended without a word' }],
  ['pid 17\nready -1\n', 17, { kind: 'error', why: 'the shim ended without a word' }],
])('a shim that says %j is understood', (text, pid, answer) => {
  expect([parsePid(text), parseAnswer(text)]).toEqual([pid, answer])
})
