import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { build as bundle } from 'esbuild'
import { parse, stringify } from 'smol-toml'
import { VARIABLES } from './record-text.js'

/** `bin/build` with a Node that counts its starts and an npm that installs one package. */
const BUILDPACK = dirname(import.meta.dirname)
const NPM = `
const { mkdirSync, writeFileSync } = require('node:fs')
mkdirSync('node_modules/ms', { recursive: true })
writeFileSync('node_modules/ms/package.json', '{"name":"ms","version":"2.1.3"}')
console.log('added 1 package in 1s')
`
const FILES = {
  'package.json': JSON.stringify({ dependencies: { ms: '2.1.3' }, scripts: { start: 'node server.js' } }),
  'package-lock.json': '{"lockfileVersion":3}',
  '.nvmrc': '24\n',
  'server.js': '1\n',
}
const ENV = {
  CNB_TARGET_DISTRO_NAME: 'debian',
  CNB_TARGET_DISTRO_VERSION: '12',
  SECRET: 'hunter2',
  PATH: '/usr/bin:/bin',
}

let folder = ''
const at = (...parts: string[]): string => join(folder, ...parts)
const write = (path: string, text: string): void => {
  mkdirSync(dirname(at(path)), { recursive: true })
  writeFileSync(at(path), text)
}

/** A new checkout of the app, and layers as they come back: the files of layers without types, nothing else. */
function begin(files: Record<string, string> = FILES): void {
  rmSync(at('app'), { recursive: true, force: true })
  for (const [path, text] of Object.entries(files)) write(`app/${path}`, text)
  rmSync(at('layers/launch.toml'), { force: true })
  for (const file of globSync('*.toml', { cwd: at('layers') })) {
    const { metadata } = parse(readFileSync(at('layers', file), 'utf8'))
    write(`layers/${file}`, metadata === undefined ? '' : stringify({ metadata }))
  }
}

const environment = (): Record<string, string> => ({
  ...ENV,
  CNB_LAYERS_DIR: at('layers'),
  CNB_BUILDPACK_DIR: at('buildpack'),
  CROFT_NODE: at('node'),
  CROFT_NPM: at('npm'),
})

interface Result {
  hasNode: boolean
  output: string
}

function build(env: Record<string, string> = {}): Result {
  rmSync(at('starts'), { force: true })
  const { status, stdout, stderr } = spawnSync(
    '/bin/sh',
    [at('buildpack/bin/build'), at('layers'), '/platform', '/plan'],
    {
      cwd: at('app'),
      encoding: 'utf8',
      env: { ...environment(), ...env },
    },
  )
  if (status !== 0) throw new Error(`exit code ${status}\n${stdout}\n${stderr}`)
  return { hasNode: existsSync(at('starts')), output: stdout }
}

/** Everything that a build left, but its record: `path: content`. */
function left(): string[] {
  const all = ['app', 'layers'].flatMap((top) =>
    readdirSync(at(top), { recursive: true, withFileTypes: true }).map((entry) => join(entry.parentPath, entry.name)),
  )
  return all
    .filter((path) => !path.startsWith(at('layers/repeat')))
    .map((path) => {
      const stat = lstatSync(path)
      return `${path}: ${stat.isDirectory() ? 'folder' : stat.isSymbolicLink() ? readlinkSync(path) : readFileSync(path, 'utf8')}`
    })
    .toSorted()
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'repeat-spec-'))
  cpSync(join(BUILDPACK, 'bin'), at('pristine/buildpack/bin'), { recursive: true })
  await bundle({
    entryPoints: [join(BUILDPACK, 'src/build.ts')],
    outfile: at('pristine/buildpack/dist/build.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['croft-src'],
    logLevel: 'error',
    banner: { js: "import { createRequire as __r } from 'node:module'; const require = __r(import.meta.url);" },
  })
  write('pristine/node/bin/node', `#!/bin/sh\necho >>${at('starts')}\nexec ${process.execPath} "$@"\n`)
  chmodSync(at('pristine/node/bin/node'), 0o755)
  write('pristine/node/package.json', JSON.stringify({ version: process.versions.node }))
  write('pristine/npm/package.json', '{"version":"11.0.0"}')
  write('pristine/npm/bin/npm-cli.js', NPM)
  write('pristine/npm/bin/npx-cli.js', '')
  mkdirSync(at('layers'))
  cpSync(at('pristine'), folder, { recursive: true })
  begin()
  expect(build().output).toContain('npm ci: 1 package')
  begin()
  expect(build()).toMatchObject({ hasNode: true }) // had nothing to do, and says so
  cpSync(at('layers'), at('pristine/layers'), { recursive: true })
})
beforeEach(() => {
  for (const name of readdirSync(at('pristine'))) rmSync(at(name), { recursive: true })
  cpSync(at('pristine'), folder, { recursive: true })
  begin()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const corrupt = (file: string, change: (text: string) => string): void =>
  write(`layers/repeat/${file}`, change(readFileSync(at('layers/repeat', file), 'utf8')))
const withoutLine = (number: number) => (text: string) => text.split('\n').toSpliced(number, 1).join('\n')

describe('a build that had nothing to do', () => {
  it('is repeated without Node, with the same words and the same files', () => {
    const short = build()
    expect(short).toMatchObject({ hasNode: false })
    expect(short.output).toMatch(/^-----> Installing dependencies\n {7}dependencies unchanged +0\.0 s\n$/)
    const leftShort = left()
    begin()
    rmSync(at('layers/repeat'), { recursive: true })
    const long = build()
    expect(long.hasNode).toBe(true)
    expect(long.output.replace(/\d\.\d s/, '0.0 s')).toBe(short.output)
    expect(left()).toEqual(leftShort)
    expect(left().join('\n')).toContain(`${at('app/node_modules')}: ${at('layers/modules/node_modules')}`)
  })

  it.each<[string, () => void]>([
    ['a file that no build looks at', () => write('app/server.js', '2\n')],
    ['a new file', () => write('app/lib/more.js', '')],
  ])('is repeated after a change of %s', (_what, change) => {
    change()
    expect(build()).toMatchObject({ hasNode: false })
  })

  it('is repeated again and again', () => {
    for (let round = 0; round < 3; round += 1) {
      expect(build()).toMatchObject({ hasNode: false })
      begin()
    }
  })

  it.each<[string, () => void, Record<string, string>?]>([
    ['one byte of package.json', () => write('app/package.json', `${FILES['package.json']} `)],
    ['the lock file', () => write('app/package-lock.json', '{"lockfileVersion":2}')],
    ['settings that appear', () => write('app/.npmrc', 'omit=optional\n')],
    ['settings that lead nowhere', () => symlinkSync('/nonexistent', at('app/.npmrc'))],
    ['a version file that disappears', () => rmSync(at('app/.nvmrc'))],
    ['a Procfile that appears', () => write('app/Procfile', 'web: node server.js\n')],
    ['another lock file that appears', () => write('app/npm-shrinkwrap.json', '{}')],
    ['a file of another language', () => write('app/requirements.txt', '')],
    ['a committed node_modules', () => write('app/node_modules/x.js', '')],
    ['NODE_ENV', () => undefined, { NODE_ENV: 'staging' }],
    ['an empty NODE_ENV', () => undefined, { NODE_ENV: '' }],
    ['what Node is started with', () => undefined, { NODE_OPTIONS: '--no-warnings' }],
    ['the stack', () => undefined, { CNB_TARGET_DISTRO_VERSION: '13' }],
    ['the buildpack', () => appendFileSync(at('buildpack/dist/build.mjs'), '//')],
    ["the platform's Node", () => write('node/package.json', '{"version":"24.99.0"}')],
    ["the platform's npm", () => write('npm/package.json', '{"version":"11.0.1"}')],
    ['what is known of a layer', () => write('layers/modules.toml', '[metadata]\nkey = "other"\n')],
    [
      'a layer that did not come back',
      () => ['modules', 'modules.toml'].forEach((name) => rmSync(at('layers', name), { recursive: true })),
    ],
    ['a layer that came back besides', () => write('layers/build-modules.toml', '[metadata]\nkey = "x"\n')],
    ['a bill of materials that did not come back', () => rmSync(at('layers/modules.sbom.cdx.json'))],
    ['an empty seal', () => write('layers/repeat/seal', '')],
    ['a missing seal', () => rmSync(at('layers/repeat/seal'))],
    ['a shorter list of digests', () => corrupt('sums', withoutLine(2))],
    ['a truncated list of digests', () => corrupt('sums', (text) => text.slice(0, 100))],
    ['a missing list of digests', () => rmSync(at('layers/repeat/sums'))],
    ['a shorter record', () => corrupt('record', withoutLine(1))],
    ['a record that says more', () => corrupt('record', (text) => `say hello\n${text}`)],
    ['a missing record', () => rmSync(at('layers/repeat/record'))],
  ])('is left to Node after a change of %s', (_what, change, env = {}) => {
    change()
    write('node/bin/node', `#!/bin/sh\necho >>${at('starts')}\n`) // what it would do is no matter here
    expect(build(env)).toMatchObject({ hasNode: true })
  })

  it('fails where a file cannot be written: Node would take what is there already for the app’s own', () => {
    write('node/bin/node', '#!/bin/sh\necho began anew\n')
    // no file may grow, as on a disk that is full
    const script = 'trap "" XFSZ; ulimit -f 0; exec /bin/sh "$0" "$@"'
    const built = spawnSync('/bin/sh', ['-c', script, at('buildpack/bin/build'), at('layers')], {
      cwd: at('app'),
      encoding: 'utf8',
      env: environment(),
    })
    expect(built).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('printf') })
  })

  it('is left to Node where the record is that of another app', () => {
    const other = { ...FILES, 'package.json': JSON.stringify({ name: 'other', scripts: { start: 'node other.js' } }) }
    for (let round = 0; round < 2; round += 1) {
      begin(other)
      build()
    }
    begin(other)
    expect(build()).toMatchObject({ hasNode: false })
    expect(readFileSync(at('layers/launch.toml'), 'utf8')).toContain('other.js')
    cpSync(at('layers/repeat'), at('other'), { recursive: true })
    for (const name of ['layers', 'app']) rmSync(at(name), { recursive: true })
    cpSync(at('pristine/layers'), at('layers'), { recursive: true })
    rmSync(at('layers/repeat'), { recursive: true })
    cpSync(at('other'), at('layers/repeat'), { recursive: true })
    begin()
    expect(build()).toMatchObject({ hasNode: true })
    expect(readFileSync(at('layers/launch.toml'), 'utf8')).toContain('server.js')
  })

  it('and had to be done by Node once is repeated without it the next time', () => {
    write('app/package.json', `${FILES['package.json']} `)
    expect(build()).toMatchObject({ hasNode: true })
    begin({ ...FILES, 'package.json': `${FILES['package.json']} ` })
    expect(build()).toMatchObject({ hasNode: false })
  })

  it('holds no value of a variable that programs of the app may see, nor a digest of it', () => {
    const texts = ['seal', 'sums', 'record'].map((name) => readFileSync(at('layers/repeat', name), 'utf8')).join('')
    for (const text of [ENV.SECRET, `SECRET=${ENV.SECRET}`, `SECRET=${ENV.SECRET}\n`]) {
      expect(texts).not.toContain(text)
      expect(texts).not.toContain(createHash('sha256').update(text).digest('hex'))
    }
    begin()
    expect(build({ SECRET: 'other' })).toMatchObject({ hasNode: false })
  })
})

describe('a build that ran something', () => {
  it.each<[string, Record<string, string>]>([
    ['a build script', { 'package.json': JSON.stringify({ scripts: { start: 'node x', build: 'true' } }) }],
    [
      'the package manager, each time, for lack of a lock file',
      { 'package.json': JSON.stringify({ dependencies: { ms: '2' }, scripts: { start: 'node x' } }) },
    ],
    [
      'an install in the app',
      {
        'package.json': JSON.stringify({ dependencies: { lib: 'file:lib' }, scripts: { start: 'node x' } }),
        'package-lock.json': '{}',
      },
    ],
  ])('%s, leaves no record', (_what, files) => {
    for (let round = 0; round < 2; round += 1) {
      begin(files)
      expect(build()).toMatchObject({ hasNode: true })
      expect(existsSync(at('layers/repeat'))).toBe(false)
      expect(existsSync(at('layers/repeat.toml'))).toBe(false)
    }
  })
})

describe('what a record is made of', () => {
  it('are the variables that bin/build hands over, in the same order', () => {
    const script = readFileSync(join(BUILDPACK, 'bin/build'), 'utf8')
    const lines = /<<END\n([\s\S]*?)\nEND\n/.exec(script)?.[1]?.split('\n')
    expect(lines).toEqual(VARIABLES.map((name) => `${name}\${${name}+=$${name}}`))
  })

  it('is read through the workspace: other files read only what programs leave, or what they are told', () => {
    const readers = globSync('{,tools/}*.ts', { cwd: import.meta.dirname }).filter((file) => {
      const text = readFileSync(join(import.meta.dirname, file), 'utf8')
      const imported = /import \{([^}]*)\} from 'node:fs'/.exec(text)?.[1] ?? ''
      const reads = /\b(?:read|exists|l?stat|access|open|glob|realpath)\w*Sync\b/.test(imported)
      return !file.endsWith('.spec.ts') && (reads || /process\.env\b/.test(text))
    })
    expect(readers.map((file) => basename(file, '.ts')).toSorted()).toEqual([
      'build-record', // the record itself
      'carry-over', // what scripts wrote
      'install', // whether a layer has what is linked to
      'installed-packages', // what an install brought
      'pnpm', // for an install
      'tool-of', // settings for an install
      'tool-program', // what lies in a layer
      'workspace',
      'workspace-files', // for an install
      'yarn', // for an install
      'yarn-classic', // for an install
    ])
  })
})
