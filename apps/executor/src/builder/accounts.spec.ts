import { describe, expect, it } from 'vitest'
import { distributionOf, homeOf, ownerOf } from './accounts.js'

const accounts = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\ncnb:x:1000:1001::/home/cnb:/bin/bash\nbare:x:7:7::\n',
  group: 'root:x:0:\ncnb:x:1001:\nweb:x:33:\n',
}

describe('the user of an image', () => {
  it.each([
    ['cnb', 1000, 1001],
    ['1000', 1000, 1001],
    ['cnb:web', 1000, 33],
    ['cnb:5', 1000, 5],
    ['12:34', 12, 34],
    ['12', 12, 12],
    ['root', 0, 0],
  ])('%s is %i:%i', (user, uid, gid) => expect(ownerOf(user, accounts)).toEqual({ uid, gid }))

  it.each(['nobody', 'cnb:nobody', ''])('%j is unknown', (user) => expect(ownerOf(user, accounts)).toBeNull())

  it('has a home folder, or none', () => {
    expect(homeOf({ uid: 1000 }, accounts)).toBe('/home/cnb')
    expect([homeOf({ uid: 7 }, accounts), homeOf({ uid: 8 }, accounts)]).toEqual([null, null])
  })
})

it('the distribution of an image is what its os-release says', () => {
  expect(distributionOf('PRETTY_NAME="x"\nID=ubuntu\nVERSION_ID="22.04"\n')).toEqual({
    name: 'ubuntu',
    version: '22.04',
  })
  expect(distributionOf('')).toEqual({ name: '', version: '' })
})
