import { describe, expect, it } from 'vitest'
import { parseProjectToml, type ProjectToml } from './project-toml.js'

const NEW = '[_]\nschema-version = "0.2"\n'
const NOTHING = { include: null, exclude: null, group: null, pre: [], post: [], env: {}, builder: null }
const script =
  '[[io.buildpacks.group]]\nid = "me/post"\n[io.buildpacks.group.script]\napi = "0.10"\ninline = "./x.sh"\n'

describe('project.toml', () => {
  it.each<[string, string, Partial<ProjectToml>]>([
    ['that says nothing', NEW, NOTHING],
    ['that is empty', '', NOTHING],
    ['of another tool', '[metadata]\nx = 1\n[tool.x]\ny = 2\n', NOTHING],
    ['includes files', `${NEW}[io.buildpacks]\ninclude = ["cmd/", "*.go"]\n`, { include: ['cmd/', '*.go'] }],
    [
      'excludes files',
      `${NEW}[io.buildpacks]\nexclude = ["spec/"]\nbuilder = "b:1"\n`,
      { exclude: ['spec/'], builder: 'b:1' },
    ],
    [
      'names buildpacks by version, address and folder',
      `${NEW}[[io.buildpacks.group]]\nid = "a/b"\nversion = "1.0"\n[[io.buildpacks.group]]\nuri = "https://host/x.git#v1"\n` +
        '[[io.buildpacks.group]]\nuri = "./mine"\n[[io.buildpacks.group]]\nid = "c"\n',
      {
        group: [
          { kind: 'installed', id: 'a/b', version: '1.0' },
          { kind: 'git', url: 'https://host/x.git', ref: 'v1' },
          { kind: 'folder', path: 'mine' },
          { kind: 'installed', id: 'c', version: null },
        ],
      },
    ],
    [
      'holds a buildpack itself',
      `${NEW}${script}`,
      { group: [{ kind: 'inline', id: 'me/post', api: '0.10', shell: '/bin/sh', script: './x.sh' }] },
    ],
    [
      'puts buildpacks before and behind',
      `${NEW}[[io.buildpacks.pre.group]]\nid = "p"\n[[io.buildpacks.post.group]]\nuri = "urn:cnb:builder:q@2"\n`,
      { pre: [{ kind: 'installed', id: 'p', version: null }], post: [{ kind: 'installed', id: 'q', version: '2' }] },
    ],
    [
      'sets build-time variables',
      `${NEW}[[io.buildpacks.build.env]]\nname = "JAVA_OPTS"\nvalue = "-Xmx1g"\n`,
      { env: { JAVA_OPTS: '-Xmx1g' } },
    ],
    [
      'of schema 0.1',
      '[project]\nid = "x"\n[build]\nexclude = ["spec/"]\n[[build.buildpacks]]\nid = "a"\nversion = "1"\n' +
        '[[build.buildpacks]]\nid = "s"\n[build.buildpacks.script]\napi = "0.7"\nshell = "/bin/bash"\ninline = "ls"\n' +
        '[[build.env]]\nname = "A"\nvalue = "b"\n',
      {
        exclude: ['spec/'],
        group: [
          { kind: 'installed', id: 'a', version: '1' },
          { kind: 'inline', id: 's', api: '0.7', shell: '/bin/bash', script: 'ls' },
        ],
        env: { A: 'b' },
      },
    ],
  ])('%s', (_what, text, expected) => {
    expect(parseProjectToml(text)).toMatchObject(expected)
  })

  it.each<[string, string, RegExp]>([
    ['no TOML', '[_]\nschema', /^line 2: not TOML/],
    ['an unknown schema', '[_]\nschema-version = "0.9"\n', /"0\.9" is not known/],
    ['no schema where one is needed', '[io.buildpacks]\ninclude = []\n', /schema-version is missing/],
    [
      'both lists of files',
      `${NEW}[io.buildpacks]\ninclude = ["a"]\nexclude = ["b"]\n`,
      /^line 3: .*exclude each other/,
    ],
    ['both lists in schema 0.1', '[build]\ninclude = ["a"]\nexclude = ["b"]\n', /^line 1: .*exclude each other/],
    ['a list that is a text', `${NEW}[io.buildpacks]\ninclude = "a"\n`, /^line 4: io\.buildpacks\.include/],
    [
      'a version and an address',
      `${NEW}[[io.buildpacks.group]]\nid = "a"\nversion = "1"\nuri = "./x"\n`,
      /^line 3: .*one of version, uri and script/,
    ],
    ['an entry that names nothing', `${NEW}[[io.buildpacks.group]]\n`, /^line 3: .*names no buildpack/],
    [
      'an address that is none',
      `${NEW}[[io.buildpacks.group]]\nuri = "file:///etc"\n`,
      /names no buildpack \(expected/,
    ],
    ['a script without an API', `${NEW}${script.replace('api = "0.10"\n', '')}`, /group\.0\.script\.api/],
    ['a script of an API nobody speaks', `${NEW}${script.replace('0.10', '0.5')}`, /does not speak/],
    [
      'a variable that is none',
      `${NEW}[[io.buildpacks.build.env]]\nname = "A-B"\nvalue = "x"\n`,
      /^line 4: .*not a variable name/,
    ],
  ])('with %s names line and rule', (_what, text, why) => {
    expect(() => parseProjectToml(text)).toThrow(why)
  })
})
