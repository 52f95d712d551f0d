import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chooseTool, type ChosenTool } from './choose-tool.js'
import { parsePackageJson } from './package-json.js'

const CLASSIC = '# yarn lockfile v1\n\n\nms@^2:\n  version "2.1.3"\n'
const modern = (version: number): string => `# note\n\n__metadata:\n  version: ${version}\n  cacheKey: 10c0\n`
const pnpm = (version: string): string => `lockfileVersion: '${version}'\n`

const chosen = (files: Record<string, string>, app: object = {}): ChosenTool =>
  chooseTool(parsePackageJson(JSON.stringify(app)), (file) => files[file] ?? null)

/** In one line: which manager, in which version, by which file. */
function told(choice: ChosenTool): string {
  if (choice.kind === 'npm') return `npm by ${choice.lockFile}`
  const { program } = choice
  const what = 'path' in program ? `${program.path} ${program.version}` : `${program.package} ${program.range}`
  return `${choice.kind} by ${choice.lockFile}: ${what}`
}

describe('the package manager of an app', () => {
  it.each<[string, Record<string, string>, object, string]>([
    ['is npm by package-lock.json', { 'package-lock.json': '{}' }, {}, 'npm by package-lock.json'],
    ['is npm by npm-shrinkwrap.json', { 'npm-shrinkwrap.json': '{}' }, {}, 'npm by npm-shrinkwrap.json'],
    ['is npm without any lock file', {}, {}, 'npm by null'],
    ['is yarn 1 by its lock file', { 'yarn.lock': CLASSIC }, {}, 'yarn-classic by yarn.lock: yarn 1.x'],
    [
      'is the newest yarn 4 by the newest form of its lock file',
      { 'yarn.lock': modern(10) },
      {},
      'yarn by yarn.lock: @yarnpkg/cli-dist >=4.15.0 <5.0.0',
    ],
    [
      'is a yarn 4 that leaves an older form of its lock file as it is',
      { 'yarn.lock': modern(8) },
      {},
      'yarn by yarn.lock: @yarnpkg/cli-dist >=4.0.0 <4.14.0',
    ],
    ['is yarn 3 by its lock file', { 'yarn.lock': modern(6) }, {}, 'yarn by yarn.lock: @yarnpkg/cli-dist 3.x'],
    [
      'is pnpm 10 by a lock file of 9 and later',
      { 'pnpm-lock.yaml': pnpm('9.0') },
      {},
      'pnpm by pnpm-lock.yaml: pnpm 10.x',
    ],
    ['is pnpm 8 by its lock file', { 'pnpm-lock.yaml': pnpm('6.0') }, {}, 'pnpm by pnpm-lock.yaml: pnpm 8.x'],
    [
      'is pnpm 7 by its lock file',
      { 'pnpm-lock.yaml': 'lockfileVersion: 5.4\n' },
      {},
      'pnpm by pnpm-lock.yaml: pnpm 7.x',
    ],
    [
      'has the version that packageManager names',
      { 'yarn.lock': modern(8) },
      { packageManager: 'yarn@4.5.3' },
      'yarn by yarn.lock: @yarnpkg/cli-dist 4.5.3',
    ],
    [
      'has the version that packageManager names, whatever engines say',
      { 'pnpm-lock.yaml': pnpm('9.0') },
      { packageManager: 'pnpm@12.21.0', engines: { pnpm: '9' } },
      'pnpm by pnpm-lock.yaml: pnpm 12.21.0',
    ],
    [
      'has a version that engines allow, of those that fit the lock file',
      { 'pnpm-lock.yaml': pnpm('9.0') },
      { engines: { pnpm: '>=9.1 || 7' } },
      'pnpm by pnpm-lock.yaml: pnpm >=9.1.0 >=10.0.0 <11.0.0-0',
    ],
    [
      'has another line when engines do not allow the best one',
      { 'pnpm-lock.yaml': pnpm('9.0') },
      { engines: { pnpm: '11.x' } },
      'pnpm by pnpm-lock.yaml: pnpm >=11.0.0 <12.0.0-0 >=9.0.0',
    ],
    [
      'has a version that devEngines allow',
      { 'yarn.lock': CLASSIC },
      { devEngines: { packageManager: { name: 'yarn', version: '^1.22.0' } } },
      'yarn-classic by yarn.lock: yarn >=1.22.0 <2.0.0-0 >=1.0.0 <2.0.0-0',
    ],
    [
      'is the yarn that is committed',
      {
        'yarn.lock': modern(8),
        '.yarnrc.yml': 'nodeLinker: node-modules\nyarnPath: .yarn/releases/yarn-4.5.3.cjs\n',
        '.yarn/releases/yarn-4.5.3.cjs': '',
      },
      { packageManager: 'yarn@4.5.3' },
      'yarn by yarn.lock: .yarn/releases/yarn-4.5.3.cjs 4.5.3',
    ],
    [
      'is the yarn 1 that is committed',
      {
        'yarn.lock': CLASSIC,
        '.yarnrc': 'yarn-path ".yarn/releases/yarn-1.22.22.cjs"\n',
        '.yarn/releases/yarn-1.22.22.cjs': '',
      },
      {},
      'yarn-classic by yarn.lock: .yarn/releases/yarn-1.22.22.cjs 1.22.22',
    ],
    [
      'is the one package.json names when there are two lock files',
      { 'package-lock.json': '{}', 'pnpm-lock.yaml': pnpm('9.0') },
      { packageManager: 'pnpm@10.1.0' },
      'pnpm by pnpm-lock.yaml: pnpm 10.1.0',
    ],
  ])('%s', (_rule, files, app, expected) => {
    expect(told(chosen(files, app))).toBe(expected)
  })

  it('keeps the hash that packageManager gives', () => {
    const { program } = chosen({ 'yarn.lock': CLASSIC }, { packageManager: 'yarn@1.22.22+sha512.a6b2f790' }) as {
      program: object
    }
    expect(program).toMatchObject({ range: '1.22.22', hash: 'sha512.a6b2f790', source: 'packageManager' })
  })

  it.each<[string, Record<string, string>, object, string[]]>([
    [
      'that a lock file beside the named one is not read',
      { 'package-lock.json': '{}', 'yarn.lock': CLASSIC },
      { packageManager: 'yarn@1.22.22' },
      ['package-lock.json is not read; remove it'],
    ],
    [
      'that there is no lock file',
      {},
      {},
      ['there is no package-lock.json: versions may differ from one build to the next'],
    ],
    [
      'that npm is used without the lock file of the named one',
      {},
      { packageManager: 'pnpm@10.1.0' },
      [
        expect.stringContaining('no package-lock.json') as string,
        'package.json asks for pnpm, its lock file is not committed: npm is used',
      ],
    ],
  ])('is chosen with the warning %s', (_what, files, app, warnings) => {
    expect(chosen(files, app).warnings).toEqual(warnings)
  })

  it.each<[string, Record<string, string>, object, RegExp]>([
    [
      'two lock files that nothing chooses between',
      { 'package-lock.json': '{}', 'yarn.lock': CLASSIC },
      {},
      /^there are lock files of npm and yarn: package-lock\.json, yarn\.lock$/,
    ],
    [
      'packageManager and the lock file of another',
      { 'yarn.lock': CLASSIC },
      { packageManager: 'pnpm@10.1.0' },
      /^package\.json asks for pnpm \(packageManager\), and the lock file is that of yarn$/,
    ],
    ['a manager nobody knows', { 'yarn.lock': CLASSIC }, { packageManager: 'bun@1.2.0' }, /asks for bun/],
    [
      'yarn 4 and the lock file of yarn 1',
      { 'yarn.lock': CLASSIC },
      { packageManager: 'yarn@4.5.3' },
      /^packageManager in package\.json asks for yarn 4\.5\.3, and yarn\.lock is one of yarn 1\.x$/,
    ],
    [
      'a version that is none',
      { 'yarn.lock': CLASSIC },
      { packageManager: 'yarn@latest' },
      /^packageManager in package\.json says "yarn@latest"/,
    ],
    [
      'engines that are no version',
      { 'yarn.lock': CLASSIC },
      { engines: { yarn: 'new' } },
      /^engines\.yarn in package\.json asks for yarn "new"/,
    ],
    [
      'a committed yarn that is not there',
      { 'yarn.lock': modern(8), '.yarnrc.yml': 'yarnPath: .yarn/releases/yarn-4.5.3.cjs\n' },
      {},
      /^\.yarnrc\.yml names \.yarn\/releases\/yarn-4\.5\.3\.cjs, which is not in the app$/,
    ],
    [
      'a committed yarn outside the app',
      { 'yarn.lock': modern(8), '.yarnrc.yml': 'yarnPath: "../yarn.cjs"\n', '../yarn.cjs': '' },
      {},
      /^\.yarnrc\.yml names \.\.\/yarn\.cjs, which is not in the app$/,
    ],
  ])('is not chosen with %s', (_what, files, app, message) => {
    expect(() => chosen(files, app)).toThrow(message)
  })

  it('is the one of the only lock file, whatever version is asked for', () => {
    const version = fc.tuple(fc.nat(20), fc.nat(30), fc.nat(30)).map((parts) => parts.join('.'))
    fc.assert(
      fc.property(
        fc.constantFrom(['yarn', CLASSIC], ['yarn', modern(8)], ['pnpm', pnpm('9.0')]),
        version,
        (lock, asked) => {
          const [name = '', text = ''] = lock
          const file = name === 'yarn' ? 'yarn.lock' : 'pnpm-lock.yaml'
          try {
            const choice = chosen({ [file]: text }, { packageManager: `${name}@${asked}` })
            expect(told(choice)).toMatch(new RegExp(`^${name}.* by ${file}: .* ${asked.replaceAll('.', '\\.')}$`))
          } catch (error) {
            expect(String(error)).toMatch(/and (yarn\.lock|pnpm-lock\.yaml) is one of/)
          }
        },
      ),
    )
  })
})
