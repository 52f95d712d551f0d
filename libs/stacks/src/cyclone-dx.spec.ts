import { expect, it } from 'vitest'
import { billOf, debianPackage, languagePackage, layerBill, parsePackages } from './cyclone-dx.js'

it('a bill of materials names each part once, in order, by an address that scanners know', () => {
  const distro = { version: '12', architecture: 'amd64' }
  const [b, a] = [['libyaml-0-2', '0.2.5-1'] as const, ['g++', '4:12.2.0-3'] as const].map(([name, version]) =>
    debianPackage(name, version, distro, 'stack debian-12'),
  )
  const bill = billOf({ name: 'shop', digest: 'sha256:ab' }, [b!, a!])
  expect(bill.components.map(({ purl }) => purl)).toEqual([
    'pkg:deb/debian/g%2B%2B@4%3A12.2.0-3?arch=amd64&distro=debian-12',
    'pkg:deb/debian/libyaml-0-2@0.2.5-1?arch=amd64&distro=debian-12',
  ])
  expect(bill).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6' })
})

it('the packages of a run image are read from its label', () => {
  expect(parsePackages('apt=2.6.1 libc6=2.36-9+deb12u10 odd ')).toEqual([
    ['apt', '2.6.1'],
    ['libc6', '2.36-9+deb12u10'],
  ])
  expect(parsePackages('')).toEqual([])
})

it.each([
  ['npm', '@types/node', '24.1.0', 'pkg:npm/%40types/node@24.1.0'],
  ['composer', 'symfony/console', 'v7.1.0', 'pkg:composer/symfony/console@v7.1.0'],
  ['pypi', 'django', '5.2', 'pkg:pypi/django@5.2'],
  ['gem', 'rack', '2.2.6.4', 'pkg:gem/rack@2.2.6.4'],
] as const)('a package of %s, %s, has the address scanners know', (ecosystem, name, version, purl) => {
  expect(languagePackage(ecosystem, name, version).purl).toBe(purl)
})

it('the bill of a layer is the same in whatever order its packages were found', () => {
  const [a, b] = [languagePackage('npm', 'a', '1'), languagePackage('npm', 'b', '1')]
  expect(layerBill([a, b])).toBe(layerBill([b, a]))
  expect(JSON.parse(layerBill([a]))).toEqual({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    components: [a],
  })
})
