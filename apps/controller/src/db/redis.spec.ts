import { describe, expect, it } from 'vitest'
import { redisOptions } from './redis.js'

describe('the options of a Redis URL', () => {
  it.each([
    ['redis://croft:p%40ss@localhost/?path=/run/r.sock', { username: 'croft', password: 'p@ss', path: '/run/r.sock' }],
    ['unix:///run/r.sock', { path: '/run/r.sock' }],
    ['unix://croft:pass@/run/r.sock?db=2', { path: '/run/r.sock', username: 'croft', password: 'pass', db: 2 }],
    ['/run/r.sock', { path: '/run/r.sock' }],
    ['redis://db.example', { host: 'db.example', port: 6379 }],
    ['redis://:pass@[fd00::1]:7000/3', { host: 'fd00::1', port: 7000, password: 'pass', db: 3 }],
    ['rediss://db.example:7001', { host: 'db.example', port: 7001, tls: {} }],
  ])('%s', (url, options) => {
    expect(redisOptions(url)).toEqual(options)
  })
  it('are refused for another kind of URL without showing it', () => {
    expect(() => redisOptions('http://user:secret@host')).toThrow('not a Redis URL: it starts with http:')
  })
})
