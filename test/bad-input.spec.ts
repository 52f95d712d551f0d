import { describe, expect, it } from 'vitest'
import {
  build,
  detect,
  parseBuildpackToml,
  type Buildpack,
  type BuildpackOutput,
  type BuildPort,
} from '@croft/lifecycle'
import { checkFiles } from '../apps/controller/src/push/check-files.js'
import { PushRefused } from '../apps/controller/src/push/refusal.js'
import { parseAptfile } from '../buildpacks/apt/src/aptfile.js'
import { parseProcfile as parseClassicProcfile } from '../buildpacks/classic/src/processes.js'
import { parsePackageJson } from '../buildpacks/node/src/package-json.js'

/** Whatever people and buildpacks write by hand and get wrong is told with file, line and rule. */

/** What is said of it; empty when it is taken. */
async function saidOf(use: () => unknown): Promise<string> {
  try {
    await use()
    return ''
  } catch (error) {
    if (error instanceof PushRefused) return error.refusal.cause
    return error instanceof Error ? error.message : String(error)
  }
}
const pushed = (file: string, text: string) => saidOf(() => checkFiles(new Map([[file, text]])))

describe('a file of an app', () => {
  it.each<[string, string, RegExp]>([
    ['Procfile', 'web: x\nnode server.js\n', /^Procfile, line 2: expected "type: command"/],
    ['Procfile', '# a\n\nwe b: x\n', /^Procfile, line 3: a process type is made of/],
    ['Procfile', 'web:\n', /^Procfile, line 1: process type web has no command/],
    ['Procfile', 'web: x\nweb: y\n', /^Procfile, line 2: process type web is declared twice/],
    ['project.toml', '[_]\nschema-version = "0.2"\nx\n', /^project\.toml, line 3: not TOML: /],
    ['project.toml', '[_]\nschema-version = "9"\n', /^project\.toml, line 2: _\.schema-version "9" is not known/],
    ['project.toml', '\n[[io.buildpacks.group]]\nid = "a/b"\n', /^project\.toml, line 2: _\.schema-version is missing/],
    [
      'project.toml',
      '[_]\nschema-version = "0.2"\n[io.buildpacks]\ninclude = "x"\n',
      /^project\.toml, line 4: io\.buildpacks\.include: .*expected array/,
    ],
    [
      'project.toml',
      '[_]\nschema-version = "0.2"\n[[io.buildpacks.group]]\nid = "a/b"\n[[io.buildpacks.group]]\nuri = "ftp://x"\n',
      /^project\.toml, line 5: io\.buildpacks\.group\.1: has a uri that names no buildpack/,
    ],
    [
      'project.toml',
      '[_]\nschema-version = "0.2"\n[[io.buildpacks.build.env]]\nname = "a-b"\nvalue = "x"\n',
      /^project\.toml, line 4: io\.buildpacks\.build\.env\.0\.name: is not a variable name/,
    ],
    ['.buildpacks', '# mine\nhttp://host/x.git\n', /^\.buildpacks, line 2: not a buildpack: http:\/\/host\/x\.git/],
    ['app.json', '{\n  "env": {\n}\n', /^app\.json, line 3: not JSON: /],
    ['app.json', '{\n"formation": []\n}', /^app\.json, line 2: formation: /],
    ['app.json', '{\n"env": {\n "A": 1,\n "B": []\n} }', /^app\.json, line 4: env\.B: /],
  ])('%s: %j', async (file, text, expected) => {
    expect(await pushed(file, text)).toMatch(expected)
  })

  it.each<[string, (text: string) => unknown, string, RegExp]>([
    ['package.json', parsePackageJson, '{\n"name": "x",\n}', /^package\.json, line 3: not JSON: /],
    ['package.json', parsePackageJson, '{\n"scripts": ["x"]\n}', /^package\.json, line 2: scripts has to be an object/],
    [
      'package.json',
      parsePackageJson,
      '{"dependencies": {\n"a": "1",\n"b": {}}}',
      /^package\.json, line 3: dependencies\.b has to be a text/,
    ],
    ['Aptfile', parseAptfile, 'hello\n--force\n', /^Aptfile, line 2: "--force" is no name of a Debian package/],
    ['Procfile of classic buildpacks', parseClassicProcfile, 'web: x\nx y: z\n', /^Procfile, line 2: a process type/],
  ])('%s, read by its buildpack: %j', async (_file, parse, text, expected) => {
    expect(await saidOf(() => parse(text))).toMatch(expected)
  })
})

describe('what a buildpack wrote', () => {
  const toml = parseBuildpackToml('api = "0.12"\n[buildpack]\nid = "acme/x"\nversion = "1"\n', 'buildpack.toml')
  const buildpack: Buildpack = { id: 'acme/x', version: '1', api: '0.12', name: 'X', directory: '/x', toml }
  const built = (output: Partial<BuildpackOutput>) =>
    saidOf(() => {
      const port: BuildPort = {
        runBuild: () => Promise.resolve(),
        readOutput: () => Promise.resolve({ layers: new Map(), sboms: [], ...output }),
        putAside: () => Promise.resolve(),
        readLayerEnv: () => Promise.resolve({ folders: new Set(), env: new Map(), envBuild: new Map() }),
        warn: () => undefined,
      }
      return build(
        { group: [buildpack], entries: [], base: {}, user: {}, operator: {}, layersDirectory: '/layers' },
        port,
      )
    })
  const process = '[[processes]]\ntype = "web"\ncommand = ["x"]\n'

  it.each<[string, Partial<BuildpackOutput>, RegExp]>([
    ['launch.toml', { launch: 'x\n' }, /^launch\.toml of acme\/x, line 1: not TOML: /],
    [
      'launch.toml',
      { launch: `${process}[[processes]]\ntype = "a b"\ncommand = ["x"]\n` },
      /, line 5: processes\.1\.type: /,
    ],
    ['launch.toml', { launch: '[[processes]]\ntype = "web"\n' }, /, line 1: processes\.0\.command: /],
    [
      'launch.toml',
      { launch: `${process}default = true\n${process.replace('web', 'b')}default = true\n` },
      /^launch\.toml of acme\/x, line 5: processes\.1\.default: has more than one default process/,
    ],
    [
      'launch.toml',
      { launch: '\n[[slices]]\npaths = ["a["]\n' },
      /, line 3: slices\.0\.paths\.0: is a malformed pattern/,
    ],
    ['launch.toml', { launch: '[[labels]]\nkey = "a"\nvalue = 5\n' }, /, line 3: labels\.0\.value: /],
    ['build.toml', { build: '[[unmet]]\nname = 5\n' }, /^build\.toml of acme\/x, line 2: unmet\.0\.name: /],
    ['build.toml', { build: '\n[[unmet]]\nname = "z"\n' }, /^build\.toml of acme\/x, line 3: says that "z" is unmet/],
    ['store.toml', { store: 'metadata = 5\n' }, /^store\.toml of acme\/x, line 1: metadata: /],
    [
      'a layer',
      { layers: new Map([['deps', '[types]\nlaunch = "yes"\n']]) },
      /^deps\.toml of acme\/x, line 2: types\.launch: /,
    ],
    ['a layer', { layers: new Map([['deps', '\nlaunch = true\n']]) }, /^deps\.toml of acme\/x, line 2: launch: /],
    ['a layer', { layers: new Map([['deps', '[types\n']]) }, /^deps\.toml of acme\/x, line 1: not TOML: /],
  ])('%s: %j', async (_file, output, expected) => {
    expect(await built(output)).toMatch(expected)
  })

  it.each<[string, RegExp]>([
    [
      '[[provides]]\nname = "a"\n[[requires]]\nversion = "1"\n',
      /the build plan that bin\/detect wrote, line 3: requires\.0\./,
    ],
    ['[[provides]\n', /the build plan that bin\/detect wrote, line 1: not TOML: /],
  ])('the build plan: %j', async (plan, expected) => {
    const target = { os: 'linux', arch: 'amd64', distroName: 'debian', distroVersion: '12' }
    const input = { order: [{ group: [{ id: 'acme/x' }] }], buildpacks: [buildpack], target, execEnv: 'production' }
    const said = await saidOf(() => detect(input, () => Promise.resolve({ exitCode: 0, output: '', plan })))
    expect(said).toMatch(expected)
  })

  it.each<[string, RegExp]>([
    ['api = "0.10"\n[buildpack]\nid = "../x"\nversion = "1"\n', /^buildpack\.toml of x, line 3: buildpack\.id: /],
    ['api = 0.10\n', /^buildpack\.toml of x, line 1: api: /],
  ])('buildpack.toml: %j', async (text, expected) => {
    expect(await saidOf(() => parseBuildpackToml(text, 'buildpack.toml of x'))).toMatch(expected)
  })
})
