import { describe, expect, it } from 'vitest'
import { npmCause } from './npm-failure.js'

describe('why npm failed', () => {
  it.each([
    [
      'the failed request, in the words of npm 10',
      'npm ERR! code ECONNREFUSED\nnpm ERR! FetchError: request to http://r.example/npm failed, reason: connect ECONNREFUSED\nnpm ERR!     at x (y.js:1)\n',
      'request to http://r.example/npm failed, reason: connect ECONNREFUSED',
    ],
    [
      'the failed request, in the words of npm 11',
      'npm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error network request to https://r.example/npm failed, reason: getaddrinfo ENOTFOUND r.example\n',
      'request to https://r.example/npm failed, reason: getaddrinfo ENOTFOUND r.example',
    ],
    [
      'its first sentence without one',
      'npm error code E404\nnpm error 404 Not Found - GET https://r.example/npm\nnpm error 404 more\n',
      '404 Not Found - GET https://r.example/npm',
    ],
    ['nothing of a silent one', '\n', undefined],
  ])('is %s', (_which, stderr, cause) => {
    expect(npmCause(stderr)).toBe(cause)
  })
})
