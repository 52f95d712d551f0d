import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isDocumentation, mergedPath, relocatedPkgConfig, relocatedShebang } from './relocation.js'

describe('a file of a Debian package below another folder', () => {
  it.each([
    ['/lib/x86_64-linux-gnu/libz.so.1', 'usr/lib/x86_64-linux-gnu/libz.so.1'],
    ['/bin/bash', 'usr/bin/bash'],
    ['/usr/bin/ruby3.1', 'usr/bin/ruby3.1'],
    ['/etc/alternatives/php', 'etc/alternatives/php'],
    ['//usr/./lib//x', 'usr/lib/x'],
  ])('%s lies at %s', (absolute, path) => expect(mergedPath(absolute)).toBe(path))

  it('lies at the same place whether it is looked up once or twice', () => {
    const part = fc.constantFrom('bin', 'lib', 'usr', 'etc', 'x', 'share')
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const once = mergedPath(`/${parts.join('/')}`)
        expect(mergedPath(`/${once}`)).toBe(once)
      }),
    )
  })
})

describe('the interpreter of a script', () => {
  const isInBase = (path: string): boolean => ['/bin/sh', '/usr/bin/perl', '/usr/bin/env'].includes(path)
  it.each([
    ['#!/bin/sh', null],
    ['#!/usr/bin/perl -w', null],
    ['#!/usr/bin/env ruby', null],
    ['#!/usr/bin/ruby3.1', '#!/usr/bin/env ruby3.1'],
    ['#! /usr/bin/python3 -I', '#!/usr/bin/env -S python3 -I'],
    ['#!/opt/own/bin/thing', null],
    ['\u007fELF', null],
  ])('%s becomes %s', (line, turned) => expect(relocatedShebang(line, isInBase)).toBe(turned))
})

describe('a pkg-config file', () => {
  it('finds everything from where it lies', () => {
    const text = [
      'prefix=/usr',
      'exec_prefix=${prefix}',
      'libdir=/usr/lib/x86_64-linux-gnu',
      'Cflags: -I/usr/include/yaml -I${includedir}',
      'Libs: -L/usr/lib -lyaml',
      'other=/usrlocal',
    ].join('\n')
    expect(relocatedPkgConfig(text, 'usr/lib/x86_64-linux-gnu/pkgconfig/yaml.pc').split('\n')).toEqual([
      'prefix=${pcfiledir}/../../..',
      'exec_prefix=${prefix}',
      'libdir=${pcfiledir}/../../../lib/x86_64-linux-gnu',
      'Cflags: -I${pcfiledir}/../../../include/yaml -I${includedir}',
      'Libs: -L${pcfiledir}/../../../lib -lyaml',
      'other=/usrlocal',
    ])
    expect(relocatedPkgConfig('prefix=/usr', 'usr/share/pkgconfig/x.pc')).toBe('prefix=${pcfiledir}/../..')
  })
})

it('documentation is left out, licences are kept', () => {
  expect(isDocumentation('usr/share/man/man1/x.1.gz')).toBe(true)
  expect(isDocumentation('usr/share/doc/hello/changelog.gz')).toBe(true)
  expect(isDocumentation('usr/share/doc/hello/copyright')).toBe(false)
  expect(isDocumentation('usr/share/doc/hello')).toBe(false)
  expect(isDocumentation('usr/share/mannheim/x')).toBe(false)
})
