import { describe, expect, it } from 'vitest'
import { billOfImage } from './bill-of-image.js'
import { isUntold, packageFileWish, packagesOf } from './packages-of-image.js'

const files = (texts: Record<string, string | null>): Map<string, Buffer | null> =>
  new Map(Object.entries(texts).map(([path, text]) => [path, text === null ? null : Buffer.from(text)]))

describe('which files tell of packages', () => {
  it.each([
    ['var/lib/dpkg/status', 'read'],
    ['var/lib/dpkg/status.d/base-files', 'read'],
    ['var/lib/dpkg/status.d/base-files.md5sums', undefined],
    ['var/lib/dpkg/status.d/a/b', undefined],
    ['var/lib/dpkg/status-old', undefined],
    ['lib/apk/db/installed', 'read'],
    ['usr/lib/apk/db/installed', 'read'],
    ['etc/os-release', 'read'],
    ['usr/lib/os-release', 'read'],
    ['var/lib/rpm/rpmdb.sqlite', 'note'],
    ['usr/lib/sysimage/rpm/Packages.db', 'note'],
    ['home/var/lib/dpkg/status', undefined],
  ])('%s: %s', (path, wish) => {
    expect(packageFileWish(path)).toBe(wish)
  })
})

describe('the bill of an image that others made', () => {
  const image = { name: 'shop', digest: `sha256:${'a'.repeat(64)}` }
  const document = { architecture: 'amd64', config: {} }
  const parts = (texts: Record<string, string | null>) =>
    billOfImage(image, document, { system: packagesOf(files(texts)) }).components.map(
      ({ name, version, purl, properties }) => [name, version, purl, properties?.[0]?.value].join(' ').trim(),
    )
  it('names the packages of its dpkg, with those of status.d, and its distribution', () => {
    const texts = {
      'usr/lib/os-release': 'ID=ubuntu\nVERSION_ID="22.04"\n',
      'var/lib/dpkg/status': 'Package: curl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 7.81\n',
      'var/lib/dpkg/status.d/tzdata': 'Package: tzdata\nVersion: 2024a\n',
    }
    expect(parts(texts)).toEqual([
      'curl 7.81 pkg:deb/ubuntu/curl@7.81?arch=amd64&distro=ubuntu-22.04 /var/lib/dpkg/status',
      'tzdata 2024a pkg:deb/ubuntu/tzdata@2024a?distro=ubuntu-22.04 /var/lib/dpkg/status.d/tzdata',
      'ubuntu 22.04',
    ])
  })
  it('names the packages of its apk', () => {
    const texts = {
      'etc/os-release': 'ID=alpine\nVERSION_ID=3.20.3\n',
      'lib/apk/db/installed': 'P:musl\nV:1.2.5-r0\nA:x86_64\n',
    }
    expect(parts(texts)).toEqual([
      'alpine 3.20.3',
      'musl 1.2.5-r0 pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.3 /lib/apk/db/installed',
    ])
  })
  it('says that its rpm database was not read', () => {
    const texts = { 'etc/os-release': 'ID="fedora"\nVERSION_ID=41\n', 'usr/lib/sysimage/rpm/rpmdb.sqlite': null }
    expect(parts(texts)).toEqual(['fedora 41  the rpm database /usr/lib/sysimage/rpm/rpmdb.sqlite'])
  })
  it('with no database at all is short', () => {
    expect(parts({})).toEqual(['unknown'])
  })
})

describe('whose packages the labels tell', () => {
  const of = (...labels: string[]) =>
    isUntold({ config: { Labels: Object.fromEntries(labels.map((label) => [label, ''])) } })
  const [base, lifecycle] = ['io.croft.base.packages', 'io.buildpacks.lifecycle.metadata']
  it('are those of images that buildpacks built on a stack, and of no others', () => {
    expect(of(base, lifecycle)).toBe(false)
    expect(of(lifecycle)).toBe(true) // the run image of another builder
    expect(of(base)).toBe(true) // a Dockerfile on a stack may have installed more
    expect(of()).toBe(true)
  })
})
