import { describe, expect, it } from 'vitest'
import { describeChoice, parseBuildpackChoice, parseBuildpacksFile, type BuildpackChoice } from './buildpack-choice.js'

describe('a buildpack as people name it', () => {
  it.each<[string, BuildpackChoice]>([
    ['heroku/nodejs', { kind: 'installed', id: 'heroku/nodejs', version: null }],
    ['croft/node@0.1.0', { kind: 'installed', id: 'croft/node', version: '0.1.0' }],
    ['urn:cnb:builder:a/b@1', { kind: 'installed', id: 'a/b', version: '1' }],
    ['https://github.com/heroku/x.git', { kind: 'git', url: 'https://github.com/heroku/x.git', ref: null }],
    ['https://github.com/heroku/x#v1.2/three', { kind: 'git', url: 'https://github.com/heroku/x', ref: 'v1.2/three' }],
    ['https://host:8443/x.git#', { kind: 'git', url: 'https://host:8443/x.git', ref: null }],
    ['./tools/./buildpack/', { kind: 'folder', path: 'tools/buildpack' }],
  ])('%s', (text, expected) => {
    const choice = parseBuildpackChoice(text)
    expect(choice).toEqual(expected)
    expect(choice === null ? null : parseBuildpackChoice(describeChoice(choice))).toEqual(expected)
  })

  it.each([
    '',
    'a b',
    '../x',
    './../x',
    '.',
    '/etc',
    'a@b@c',
    'file:///etc',
    'ssh://git@host/x',
    'git@host:x',
    'http://host/x.git',
    'https://user:secret@host/x.git',
    'https://host/x.git?token=1',
    'https://host',
    'https://host/x#-upload-pack',
    'https://host/x#a..b',
    'https://host/x#a#b',
    'docker://image',
    '-x',
    `https://host/${'x'.repeat(600)}`,
  ])('is never %s', (text) => {
    expect(parseBuildpackChoice(text)).toBeNull()
  })
})

describe('.buildpacks', () => {
  it('holds one on a line, comments and empty lines aside', () => {
    expect(parseBuildpacksFile('# mine\nhttps://h/a.git\r\n\n  croft/node  \n').map(describeChoice)).toEqual([
      'https://h/a.git',
      'croft/node',
    ])
  })

  it('names the line that is none', () => {
    expect(() => parseBuildpacksFile('croft/node\nnot one\n')).toThrow('.buildpacks, line 2: not a buildpack: not one')
  })
})
