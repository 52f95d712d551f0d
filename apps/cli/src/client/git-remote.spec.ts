import { describe, expect, it } from 'vitest'
import { appOfRemotes } from './git-remote.js'

const platform = 'http://croft.localhost:8080'

describe('the app of a folder', () => {
  it.each([
    ['its remote croft', 'remote.croft.url http://croft.localhost:8080/shop.git', 'shop'],
    ['a remote without .git', 'remote.croft.url http://croft.localhost:8080/shop', 'shop'],
    ['the remote of another name', 'remote.origin.url http://croft.localhost:8080/shop.git', 'shop'],
    [
      'croft before another remote',
      'remote.a.url http://croft.localhost:8080/blog.git\nremote.croft.url http://croft.localhost:8080/shop.git',
      'shop',
    ],
    [
      'nothing when two others lead to two apps',
      'remote.a.url http://croft.localhost:8080/blog.git\nremote.b.url http://croft.localhost:8080/shop.git',
      undefined,
    ],
    ['nothing of another platform', 'remote.croft.url http://croft.localhost:9090/shop.git', undefined],
    ['nothing of another host', 'remote.origin.url https://github.com/croft/shop.git', undefined],
    ['nothing of an scp-like address', 'remote.origin.url git@github.com:croft/shop.git', undefined],
    ['nothing of a path that climbs', 'remote.croft.url http://croft.localhost:8080/../shop/x.git', undefined],
    ['nothing without remotes', '', undefined],
  ])('is %s', (_what, listing, app) => {
    expect(appOfRemotes(listing, platform)).toBe(app)
  })
})
