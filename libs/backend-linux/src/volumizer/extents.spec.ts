import { expect, it } from 'vitest'
import { parseExtents } from './extents.js'

const HEAD = `Filesystem type is: ef53
File size of disk.img is 67108864 (16384 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
`

it('reads the extents of a file', () => {
  const text = `${HEAD}   0:        0..       7:   10727130..  10727137:      8:            
   3:    16368..   16383:   10715664..  10715679:     16:   10731984: last,unwritten,eof
disk.img: 2 extents found
`
  expect(parseExtents(text)).toEqual([
    { block: 0, count: 8 },
    { block: 16_368, count: 16 },
  ])
})
it.each(['', 'FIBMAP unsupported\n', HEAD, `${HEAD}   0:        0..  999999:   1..  2:  3:\n`])(
  'has no answer for %j',
  (text) => {
    expect(parseExtents(text)).toBeNull()
  },
)
