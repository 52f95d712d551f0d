import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseApkInstalled } from './apk-installed.js'
import { parseDpkgStatus } from './dpkg-status.js'
import { parseOsRelease } from './os-release.js'
import { MAX_SYSTEM_PACKAGES, systemPackage } from './system-package.js'

const paragraph = (name: string, more = ''): string => `Package: ${name}\nVersion: 1.0-1\n${more}`

describe('the database of dpkg', () => {
  it.each<[what: string, text: string, packages: string[]]>([
    ['nothing', '', []],
    [
      'an installed package among what else is said of it',
      `Package: curl\nStatus: install ok installed\nPriority: optional\nArchitecture: amd64\nVersion: 7.88.1-10+deb12u8\nDescription: tool\n Package: trap\n .\n more\n`,
      ['curl 7.88.1-10+deb12u8 amd64'],
    ],
    [
      'several, but those that were removed or are not whole',
      [
        paragraph('a', 'Status: install ok installed\n'),
        paragraph('b', 'Status: deinstall ok config-files\n'),
        paragraph('c', 'Status: install ok half-configured\n'),
        paragraph('d', 'Status: hold ok installed\n'),
      ].join('\n'),
      ['a 1.0-1 ', 'd 1.0-1 '],
    ],
    [
      'a file of status.d, which has no status',
      `Package: base-files\nVersion: 12.4\nArchitecture: all\n`,
      ['base-files 12.4 all'],
    ],
    ['line ends of others', 'Package: a\r\nVersion: 1:2~3\r\n\r\nPackage: b\r\nVersion: 2\r\n', ['a 1:2~3 ', 'b 2 ']],
    ['names and versions that are none', 'Package: ../x\nVersion: 1\n\nPackage: a\nVersion: $(x)\n\nPackage: b\n', []],
    ['a field twice, of which the first counts', 'Package: a\nPackage: b\nVersion: 1\n', ['a 1 ']],
    ['an architecture that is none', 'Package: a\nVersion: 1\nArchitecture: <x>\n', ['a 1 ']],
  ])('has of %s', (_what, text, packages) => {
    expect(
      parseDpkgStatus(text).map(({ name, version, architecture }) => `${name} ${version} ${architecture}`),
    ).toEqual(packages)
  })
})

describe('the database of apk', () => {
  it.each<[what: string, text: string, packages: string[]]>([
    ['nothing', '', []],
    [
      'packages with their files',
      'C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\n\nC:Q2\nP:so:x\nV:1\n\nP:libssl3\nV:3.3.2-r1\nA:x86_64\no:openssl\n\n',
      ['musl 1.2.5-r0 x86_64', 'libssl3 3.3.2-r1 x86_64'],
    ],
    ['one without a version', 'P:a\n\nV:1\n', []],
    ['one that ends with the file', 'P:a\nV:1', ['a 1 ']],
  ])('has of %s', (_what, text, packages) => {
    expect(
      parseApkInstalled(text).map(({ name, version, architecture }) => `${name} ${version} ${architecture}`),
    ).toEqual(packages)
  })
})

describe('a distribution', () => {
  it.each([
    ['PRETTY_NAME="Debian GNU/Linux 12"\nVERSION_ID="12"\nID=debian\n', { id: 'debian', version: '12' }],
    ['ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"', { id: 'ubuntu', version: '22.04' }],
    ["ID='alpine'\nVERSION_ID=3.20.3\n", { id: 'alpine', version: '3.20.3' }],
    ['ID=arch\n', { id: 'arch', version: '' }],
    ['ID="a b"\nVERSION_ID=1', null],
    ['ID=$(id)\n', null],
    ['', null],
  ])('is read from %j', (text, os) => {
    expect(parseOsRelease(text)).toEqual(os)
  })
})

describe('a package of a system', () => {
  it.each([
    [
      'deb',
      { name: 'g++', version: '4:12.2', architecture: 'amd64' },
      { id: 'ubuntu', version: '22.04' },
      'pkg:deb/ubuntu/g%2B%2B@4%3A12.2?arch=amd64&distro=ubuntu-22.04',
    ],
    ['deb', { name: 'a', version: '1', architecture: '' }, null, 'pkg:deb/debian/a@1'],
    [
      'apk',
      { name: 'musl', version: '1.2.5-r0', architecture: 'x86_64' },
      { id: 'alpine', version: '3.20' },
      'pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20',
    ],
    ['apk', { name: 'a', version: '1', architecture: '' }, { id: 'wolfi', version: '' }, 'pkg:apk/wolfi/a@1'],
  ] as const)('of %s has the address that scanners know', (kind, one, os, purl) => {
    expect(systemPackage(kind, one, os, '/x').purl).toBe(purl)
  })
})

describe('databases that somebody made up', () => {
  const line = fc.oneof(
    fc.constantFrom(
      '',
      ' ',
      '\r',
      'Package: ',
      'Version: ',
      'Status: installed',
      'P:',
      'V:',
      'A:',
      'Architecture: all',
    ),
    fc
      .tuple(fc.constantFrom('Package:', 'Version:', 'Architecture:', 'P:', 'V:', 'A:', 'ID=', 'x'), fc.string())
      .map((parts) => parts.join('')),
  )
  it('give nothing but words of packages, and no more of them than lines', () => {
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 60 }).map((lines) => lines.join('\n')),
        (text) => {
          for (const [kind, parse] of [
            ['deb', parseDpkgStatus],
            ['apk', parseApkInstalled],
          ] as const) {
            const found = parse(text)
            expect(found.length).toBeLessThanOrEqual(text.split('\n').length)
            for (const one of found) {
              expect(`${one.name} ${one.version} ${one.architecture}`).toMatch(
                /^[0-9A-Za-z._+:@~-]+ [0-9A-Za-z._+:~-]+ [0-9a-z_-]*$/,
              )
              expect(URL.canParse(systemPackage(kind, one, parseOsRelease(text), '/x').purl ?? '')).toBe(true)
            }
          }
        },
      ),
    )
  })
  it('give so many packages and no more', () => {
    const many = Array.from({ length: MAX_SYSTEM_PACKAGES + 5 }, (_, index) => index)
    expect(parseDpkgStatus(many.map((index) => paragraph(`p${index}`)).join('\n'))).toHaveLength(MAX_SYSTEM_PACKAGES)
    expect(parseApkInstalled(many.map((index) => `P:p${index}\nV:1\n\n`).join(''))).toHaveLength(MAX_SYSTEM_PACKAGES)
  })
})
