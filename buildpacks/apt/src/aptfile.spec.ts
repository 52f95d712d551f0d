import { describe, expect, it } from 'vitest'
import { parseAptfile } from './aptfile.js'

describe('an Aptfile', () => {
  it('names packages, apart by lines or spaces, with comments', () => {
    expect(parseAptfile('# tools\nhello cowsay # two\n\r\nlibpq-dev\ng++\nlibc6:amd64\nhello=2.10-3\n')).toEqual([
      'hello',
      'cowsay',
      'libpq-dev',
      'g++',
      'libc6:amd64',
      'hello=2.10-3',
    ])
  })
  it.each([
    ['hello\n--force-yes', 'Aptfile, line 2: "--force-yes" is no name of a Debian package'],
    ['hello-', 'Aptfile, line 1: "hello-" is no name of a Debian package'],
    ['$(id)', 'Aptfile, line 1: "$(id)" is no name of a Debian package'],
    ['http://x.test/a.deb', 'Aptfile, line 1: http://x.test/a.deb is an archive, not the name of a package'],
    [
      ':repo:deb http://x.test stable main',
      'Aptfile, line 1: packages come from the archives of the platform only, not from :repo:deb',
    ],
  ])('with %j is refused with its line', (text, message) => {
    expect(() => parseAptfile(text)).toThrow(message)
  })
})
