import { describe, expect, it } from 'vitest'
import { UsageError } from '../usage.js'
import { DEFAULT_DEPOT, DEFAULT_NETWORK, readOptions, type TypedOptions } from './options.js'

const typed: TypedOptions = {
  listen: ['unix:/run/g.sock'],
  backend: 'linux',
  depot: DEFAULT_DEPOT,
  network: DEFAULT_NETWORK,
  imageAlias: [],
}

describe('the options of `croft garden`', () => {
  it('need nothing but an address', () => {
    expect(readOptions(typed)).toMatchObject({ backend: 'linux', defaultRootfs: null, tls: null, maxContainers: null })
  })
  it('take aliases up to the first =', () => {
    const { aliases } = readOptions({ ...typed, imageAlias: ['docker:///a#1=/a.tar', 'docker:///b=raw:///b=c'] })
    expect([...aliases]).toEqual([
      ['docker:///a#1', '/a.tar'],
      ['docker:///b', 'raw:///b=c'],
    ])
  })
  it.each([
    [{ listen: [] }, 'no address'],
    [{ backend: 'docker' }, 'there is no backend docker'],
    [{ depot: 'here' }, '--depot must be an absolute path'],
    [{ depot: '/' }, '--depot must be an absolute path'],
    [{ imageAlias: ['docker:///a'] }, 'not an alias'],
    [{ imageAlias: ['=/a'] }, 'not an alias'],
    [{ imageAlias: ['docker:///a='] }, 'not an alias'],
    [{ maxContainers: '0' }, '--max-containers must be a number'],
    [{ maxContainers: 'many' }, '--max-containers must be a number'],
    [{ tlsCert: '/c' }, 'belong together'],
    [{ tlsKey: '/k' }, 'belong together'],
    [{ tlsCa: '/a' }, '--tls-ca needs'],
  ])('refuse %j', (change, message) => {
    expect(() => readOptions({ ...typed, ...change })).toThrow(UsageError)
    expect(() => readOptions({ ...typed, ...change })).toThrow(message)
  })
})
