import { describe, expect, it } from 'vitest'
import { isSameLock, onlyAdds } from './only-adds.js'

const ms = { version: '2.1.3', resolved: 'https://registry.npmjs.org/ms/-/ms-2.1.3.tgz', integrity: 'sha512-a' }
const qs = { version: '6.0.0', resolved: 'https://registry.npmjs.org/qs/-/qs-6.0.0.tgz', integrity: 'sha512-b' }
const lock = (packages: object, lockfileVersion = 3): string =>
  JSON.stringify({ name: 'app', lockfileVersion, packages: { '': { name: 'app' }, ...packages } })
const installed = lock({ 'node_modules/ms': ms })

describe('a lock file beside what is installed', () => {
  it.each<[string, object]>([
    ['asks for the same', { 'node_modules/ms': ms }],
    ['asks for one more', { 'node_modules/ms': ms, 'node_modules/qs': qs }],
    ['asks for one more below another', { 'node_modules/ms': ms, 'node_modules/ms/node_modules/qs': qs }],
    ['says more of what needs it', { 'node_modules/ms': { ...ms, peer: true, license: 'MIT' } }],
    ['names one for development only', { 'node_modules/ms': ms, 'node_modules/qs': { ...qs, dev: true } }],
  ])('only adds when it %s', (_what, packages) => {
    expect(onlyAdds(installed, lock(packages))).toBe(true)
  })

  it.each<[string, string]>([
    ['asks for another version', lock({ 'node_modules/ms': { ...ms, version: '2.1.2' } })],
    ['asks for it from elsewhere', lock({ 'node_modules/ms': { ...ms, resolved: 'https://mirror.example/ms.tgz' } })],
    ['expects other bytes', lock({ 'node_modules/ms': { ...ms, integrity: 'sha512-c' } })],
    ['does not ask for it any more', lock({ 'node_modules/qs': qs })],
    ['asks for it elsewhere', lock({ 'node_modules/qs': qs, 'node_modules/qs/node_modules/ms': ms })],
    ['needs it for development only', lock({ 'node_modules/ms': { ...ms, dev: true } })],
    ['adds one with scripts', lock({ 'node_modules/ms': ms, 'node_modules/qs': { ...qs, hasInstallScript: true } })],
    ['adds a link', lock({ 'node_modules/ms': ms, 'node_modules/own': { resolved: 'own', link: true } })],
    ['is of an older form', lock({ 'node_modules/ms': ms }, 2)],
    ['cannot be read', '{'],
  ])('does not only add when it %s', (_what, wanted) => {
    expect(onlyAdds(installed, wanted)).toBe(false)
  })

  it.each<[string, string]>([
    ['has scripts', lock({ 'node_modules/ms': { ...ms, hasInstallScript: true } })],
    ['is nothing', lock({})],
    ['is not known', 'none'],
  ])('does not only add when what is installed %s', (_what, before) => {
    expect(onlyAdds(before, installed)).toBe(false)
  })

  it('is the same whatever its spacing', () => {
    expect(isSameLock(installed, JSON.stringify(JSON.parse(installed), null, 2))).toBe(true)
    expect(isSameLock(installed, lock({ 'node_modules/ms': qs }))).toBe(false)
    expect(isSameLock(installed, '{')).toBe(false)
  })
})
