import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { billOfModules } from './installed-packages.js'

describe('the bill of a node_modules folder', () => {
  let app = ''
  beforeEach(() => (app = mkdtempSync(join(tmpdir(), 'modules-'))))
  afterEach(() => rmSync(app, { recursive: true, force: true }))

  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(app, file)), { recursive: true })
    writeFileSync(join(app, file), text)
  }
  const put = (folder: string, name: string, version: string): void =>
    write(`${folder}/package.json`, JSON.stringify({ name, version }))
  const link = (from: string, to: string): void => {
    mkdirSync(dirname(join(app, from)), { recursive: true })
    symlinkSync(to, join(app, from))
  }
  const named = (): string[] => {
    const bill = JSON.parse(billOfModules(join(app, 'node_modules'))) as { components: { purl: string }[] }
    return bill.components.map(({ purl }) => purl)
  }

  it('names every package once, with its scope, wherever it lies', () => {
    put('node_modules/ms', 'ms', '2.1.3')
    put('node_modules/@types/node', '@types/node', '24.0.0')
    put('node_modules/debug', 'debug', '4.4.0')
    put('node_modules/debug/node_modules/ms', 'ms', '2.0.0')
    put('node_modules/send/node_modules/ms', 'ms', '2.1.3')
    put('node_modules/send', 'send', '1.1.0+build')
    expect(named()).toEqual([
      'pkg:npm/%40types/node@24.0.0',
      'pkg:npm/debug@4.4.0',
      'pkg:npm/ms@2.0.0',
      'pkg:npm/ms@2.1.3',
      'pkg:npm/send@1.1.0%2Bbuild',
    ])
  })

  it('names a package as it calls itself, not as the app calls it', () => {
    put('node_modules/old-ms', 'ms', '1.0.0')
    expect(named()).toEqual(['pkg:npm/ms@1.0.0'])
  })

  it('names what a package brings along in its own archive (bundledDependencies), however deep', () => {
    const bundled = JSON.stringify({ name: 'tool', version: '1.0.0', bundledDependencies: ['@in/side', 'deep'] })
    write('node_modules/tool/package.json', bundled)
    put('node_modules/tool/node_modules/@in/side', '@in/side', '2.0.0')
    put('node_modules/tool/node_modules/deep', 'deep', '3.0.0')
    put('node_modules/tool/node_modules/deep/node_modules/deeper', 'deeper', '4.0.0')
    put('node_modules/.pnpm/kit@1.0.0/node_modules/kit', 'kit', '1.0.0')
    put('node_modules/.pnpm/kit@1.0.0/node_modules/kit/node_modules/part', 'part', '5.0.0')
    expect(named()).toEqual([
      'pkg:npm/%40in/side@2.0.0',
      'pkg:npm/deep@3.0.0',
      'pkg:npm/deeper@4.0.0',
      'pkg:npm/kit@1.0.0',
      'pkg:npm/part@5.0.0',
      'pkg:npm/tool@1.0.0',
    ])
  })

  it('finds what pnpm keeps in a place of its own', () => {
    put('node_modules/.pnpm/debug@4.4.0/node_modules/debug', 'debug', '4.4.0')
    put('node_modules/.pnpm/ms@2.1.3/node_modules/ms', 'ms', '2.1.3')
    link('node_modules/.pnpm/debug@4.4.0/node_modules/ms', '../../ms@2.1.3/node_modules/ms')
    link('node_modules/.pnpm/node_modules/ms', '../ms@2.1.3/node_modules/ms')
    link('node_modules/debug', '.pnpm/debug@4.4.0/node_modules/debug')
    write('node_modules/.pnpm/lock.yaml', '')
    expect(named()).toEqual(['pkg:npm/debug@4.4.0', 'pkg:npm/ms@2.1.3'])
  })

  it('finds what lies beside the own folders of an app, which are no packages', () => {
    put('packages/a', '@shop/a', '1.0.0')
    put('packages/a/node_modules/ms', 'ms', '1.0.0')
    put('packages/b', '@shop/b', '1.0.0')
    link('packages/b/node_modules/@shop/a', '../../../a') // and so round and round
    link('packages/a/node_modules/@shop/b', '../../../b')
    link('node_modules/@shop/a', '../../packages/a')
    put('node_modules/ms', 'ms', '2.0.0')
    expect(named()).toEqual(['pkg:npm/ms@1.0.0', 'pkg:npm/ms@2.0.0'])
  })

  it('leaves out what is no package', () => {
    put('node_modules/.cache/tool', 'tool', '1.0.0')
    write('node_modules/.package-lock.json', '{}')
    put('node_modules/.bin/x', 'x', '1.0.0')
    write('node_modules/broken/package.json', '{"name":')
    write('node_modules/null/package.json', 'null')
    write('node_modules/nameless/package.json', '{"version":"1.0.0"}')
    write('node_modules/unversioned/package.json', '{"name":"unversioned"}')
    mkdirSync(join(app, 'node_modules/empty'))
    link('node_modules/nowhere', './gone')
    put('node_modules/ms/esm', 'ms-esm', '1.0.0')
    write('node_modules/ms/package.json', '\uFEFF{"name":"ms","version":"2.1.3"}')
    expect(named()).toEqual(['pkg:npm/ms@2.1.3'])
  })

  it('is the same text whatever was installed first', () => {
    const names = ['b', 'a', 'c', 'a-b', '@a/b']
    for (const name of names) put(`node_modules/${name}`, name, '1.0.0')
    const first = billOfModules(join(app, 'node_modules'))
    rmSync(join(app, 'node_modules'), { recursive: true })
    for (const name of names.toReversed()) put(`node_modules/${name}`, name, '1.0.0')
    expect(billOfModules(join(app, 'node_modules'))).toBe(first)
  })

  it('of no packages is empty', () => {
    expect(named()).toEqual([])
  })
})
