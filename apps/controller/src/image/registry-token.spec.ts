import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { parseScopes, signClaims, verifyClaims, type RegistryClaims } from './registry-token.js'

const key = randomBytes(32)
const claims: RegistryClaims = {
  iss: 'croft',
  aud: 'localhost',
  sub: 'token-id',
  exp: 1_000,
  access: [{ type: 'repository', name: 'shop', actions: ['pull'] }],
}
const expected = { audience: 'localhost', nowMs: 999_000 }

describe('a token of the registry', () => {
  const token = signClaims(claims, key)
  it('says what was signed', () => {
    expect(verifyClaims(token, key, expected)).toEqual(claims)
  })
  it.each([
    ['after its time', token, key, { ...expected, nowMs: 1_000_000 }],
    ['for another service', token, key, { ...expected, audience: 'other' }],
    ['under another key', token, randomBytes(32), expected],
    ['cut off', token.slice(0, -1), key, expected],
    ['with a part more', `${token}.x`, key, expected],
    ['without a signature', `${token.split('.').slice(0, 2).join('.')}.`, key, expected],
    [
      'that says it needs none',
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${token.split('.')[1]}.`,
      key,
      expected,
    ],
    ['that is none', 'croft_abc', key, expected],
  ])('is nothing %s', (_what, text, by, from) => {
    expect(verifyClaims(text, by, from)).toBeNull()
  })
  it('is nothing when any of its claims was changed', () => {
    const [header, body = '', mac] = token.split('.')
    const changed = Buffer.from(body, 'base64url').toString().replace('"pull"', '"push"')
    expect(verifyClaims(`${header}.${Buffer.from(changed).toString('base64url')}.${mac}`, key, expected)).toBeNull()
  })
})

describe('asked scopes', () => {
  it.each([
    [undefined, []],
    ['repository:shop:pull,push', [{ type: 'repository', name: 'shop', actions: ['pull', 'push'] }]],
    [
      ['repository:a:pull', 'repository:b:pull repository:c:push'],
      [
        { type: 'repository', name: 'a', actions: ['pull'] },
        { type: 'repository', name: 'b', actions: ['pull'] },
        { type: 'repository', name: 'c', actions: ['push'] },
      ],
    ],
    ['registry:catalog:*', [{ type: 'registry', name: 'catalog', actions: ['*'] }]],
    ['registry:other:*', []],
    ['repository:a', []],
  ])('%j are %j', (text, scopes) => {
    expect(parseScopes(text)).toEqual(scopes)
  })
})
