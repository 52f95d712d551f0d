import { expect, it } from 'vitest'
import { installedPackages } from './installed-packages.js'

const one = { name: 'symfony/console', version: 'v7.1.0', dist: {} }
it.each([
  [JSON.stringify({ packages: [one], dev: false }), [{ name: 'symfony/console', version: 'v7.1.0' }]],
  [JSON.stringify([one]), [{ name: 'symfony/console', version: 'v7.1.0' }]],
  [JSON.stringify({ packages: [{ name: 7 }, null, one] }), [{ name: 'symfony/console', version: 'v7.1.0' }]],
  ['{"packages": {}}', []],
  ['null', []],
  ['{', []],
])('what Composer installed is read from %s', (text, packages) => {
  expect(installedPackages(text)).toEqual(packages)
})
