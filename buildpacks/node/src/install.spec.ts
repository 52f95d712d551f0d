import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Installer } from './install.js'
import { parsePackageJson } from './package-json.js'
import type { PackageTool } from './package-tool.js'
import { Workspace } from './workspace.js'

/** A package manager that notes where it was called and with what beside it. */
class NotingTool implements PackageTool {
  readonly name = 'yarn'
  version = '4.18.1'
  readonly lockFile: string = 'yarn.lock'
  readonly reads = ['.yarnrc.yml', '.yarn/patches']
  readonly leaves = ['node_modules', '.yarn/state']
  readonly replaces = ['.pnp.cjs']
  readonly spends = ['.yarn/cache']
  readonly installScripts = []
  readonly cacheLayer = 'yarn-cache'
  mustBeInPlace = false
  readonly env = {}
  readonly calls: string[] = []

  install(folder: string, withDev: boolean) {
    const beside = this.reads.filter((place) => existsSync(join(folder, place)))
    this.calls.push(`${folder.replace(/^.*\//, '')} ${withDev ? 'all' : 'production'} ${beside.join(' ')}`.trim())
    const { scripts } = parsePackageJson(readFileSync(join(folder, 'package.json'), 'utf8'))
    mkdirSync(join(folder, 'node_modules/ms'), { recursive: true })
    writeFileSync(join(folder, 'node_modules/ms/scripts'), Object.keys(scripts).join())
    for (const name of withDev ? ['ms', 'tap'] : ['ms']) {
      mkdirSync(join(folder, 'node_modules', name), { recursive: true })
      writeFileSync(join(folder, 'node_modules', name, 'package.json'), JSON.stringify({ name, version: '2.1.3' }))
    }
    mkdirSync(join(folder, '.yarn'), { recursive: true })
    writeFileSync(join(folder, '.yarn/state'), '')
    return Promise.resolve({ call: 'yarn install', packages: 1 })
  }
  prune(folder: string): Promise<void> {
    this.calls.push(`prune ${folder.replace(/^.*\//, '')}`)
    rmSync(join(folder, 'node_modules/tap'), { recursive: true })
    return Promise.resolve()
  }
}

/** One that can add to what it installed before. */
class AddingTool extends NotingTool {
  override readonly lockFile = 'package-lock.json'
  override readonly reads = ['.npmrc']
  /** What it does to the lock file it is given. */
  corrects = (text: string): string => text
  isBroken = false

  override install(folder: string, withDev: boolean) {
    const installed = super.install(folder, withDev)
    this.#note(folder)
    return installed
  }
  add(folder: string) {
    this.calls.push(`add ${readdirSync(join(folder, 'node_modules')).join(' ')}`)
    if (this.isBroken) return Promise.reject(new Error('broken'))
    const lock = join(folder, 'package-lock.json')
    writeFileSync(lock, this.corrects(readFileSync(lock, 'utf8')))
    this.#note(folder)
    return Promise.resolve({ call: 'npm install', packages: 1 })
  }
  #note(folder: string): void {
    cpSync(join(folder, 'package-lock.json'), join(folder, 'node_modules/.package-lock.json'))
  }
}

describe('the dependencies of an app', () => {
  let folder = ''
  let said = ''
  let tool: NotingTool = new NotingTool()
  const at = (...parts: string[]): string => join(folder, ...parts)
  const write = (file: string, text: string): void => {
    mkdirSync(join(at('app', file), '..'), { recursive: true })
    writeFileSync(at('app', file), text)
  }
  const install = async (
    app: object = { dependencies: { ms: '2' }, scripts: { start: 'node x' } },
  ): Promise<string[]> => {
    write('package.json', JSON.stringify(app))
    tool.calls.length = 0
    await new Installer({
      app: parsePackageJson(JSON.stringify(app)),
      workspace: new Workspace(at('app'), {}),
      layersDirectory: at('layers'),
      tool,
      warnings: [],
      node: '/bin/true', // it runs the app's scripts
      nodeVersion: '24.0.0',
      env: {},
      nodeEnv: 'production',
      platform: 'debian-12-x64',
    }).install()
    return [...tool.calls]
  }
  /** As the next build begins: a new checkout, the layers come back. */
  const checkOutAnew = (): void => {
    rmSync(at('app/node_modules'), { recursive: true, force: true })
    rmSync(at('app/.yarn/state'), { force: true })
  }

  /** The packages that a bill names; null where there is none. */
  const billed = (owner: string): string[] | null => {
    const file = at('layers', `${owner}.sbom.cdx.json`)
    if (!existsSync(file)) return null
    const { components } = JSON.parse(readFileSync(file, 'utf8')) as { components: { purl: string }[] }
    return components.map(({ purl }) => purl)
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'install-spec-'))
    mkdirSync(at('layers'))
    tool = new NotingTool()
    said = ''
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      said += String(text)
      return true
    })
    write('yarn.lock', 'one')
    write('.yarnrc.yml', '')
  })
  afterEach(() => {
    vi.restoreAllMocks()
    rmSync(folder, { recursive: true, force: true })
  })

  it('are installed into a layer, without files or scripts of the app, and seen in the app', async () => {
    expect(await install()).toEqual(['modules production .yarnrc.yml'])
    expect(readlinkSync(at('app/node_modules'))).toBe(at('layers/modules/node_modules'))
    expect(readlinkSync(at('app/.yarn/state'))).toBe(at('layers/modules/.yarn/state'))
    expect(readFileSync(at('app/node_modules/ms/scripts'), 'utf8')).toBe('')
    for (const file of ['package.json', 'yarn.lock', '.yarnrc.yml'])
      expect(existsSync(at('layers/modules', file))).toBe(false)
    expect(readFileSync(at('layers/modules.toml'), 'utf8')).toMatch(/launch = true\ncache = true/)
    expect(said).toMatch(/^-----> Installing dependencies\n {7}yarn install: 1 package +\d/)
  })

  it('are not installed again while nothing changed that decides of them', async () => {
    await install()
    checkOutAnew()
    write('server.js', 'changed')
    expect(await install({ dependencies: { ms: '2' }, scripts: { start: 'node y' } })).toEqual([])
    expect(said).toContain('dependencies unchanged')
    expect(readlinkSync(at('app/node_modules'))).toBe(at('layers/modules/node_modules'))
  })

  it.each<[string, () => void]>([
    ['the lock file', () => write('yarn.lock', 'two')],
    ['a settings file', () => write('.yarnrc.yml', 'nmMode: hardlinks-local\n')],
    ['a file in a folder that is read', () => write('.yarn/patches/a.patch', '+')],
    ['the manager', () => (tool.version = '4.19.0')],
  ])('are installed again after a change of %s', async (_what, change) => {
    await install()
    checkOutAnew()
    change()
    expect(await install()).toHaveLength(1)
  })

  describe('that a longer lock file asks for', () => {
    const lockOf = (...names: string[]): string =>
      JSON.stringify({
        lockfileVersion: 3,
        packages: Object.fromEntries(names.map((name) => [`node_modules/${name}`, { version: '1.0.0' }])),
      })
    const one = { dependencies: { ms: '1' } }
    const two = { dependencies: { ms: '1', qs: '1' } }
    let adding = new AddingTool()
    beforeEach(() => {
      tool = adding = new AddingTool()
      rmSync(at('app/.yarnrc.yml'))
      write('package-lock.json', lockOf('ms'))
    })
    const installBoth = async (): Promise<string[]> => {
      await install(one)
      checkOutAnew()
      write('package-lock.json', lockOf('ms', 'qs'))
      return install(two)
    }

    it('are added to what came back', async () => {
      expect(await installBoth()).toEqual(['add .package-lock.json ms'])
      expect(said).toMatch(/npm install beside what was there: 1 package +\d/)
      for (const file of ['package.json', 'package-lock.json'])
        expect(existsSync(at('layers/modules', file))).toBe(false)
      checkOutAnew()
      expect(await install(two)).toEqual([])
    })

    it('are installed from nothing where adding does not work', async () => {
      adding.isBroken = true
      expect(await installBoth()).toEqual(['add .package-lock.json ms', 'modules production'])
    })

    it('are installed from nothing where the lock file does not fit, which is then said', async () => {
      adding.corrects = () => lockOf('ms', 'qs', 'more')
      expect(await installBoth()).toEqual(['add .package-lock.json ms', 'modules production'])
    })

    it('are installed from nothing where another version of something is asked for', async () => {
      await install(one)
      checkOutAnew()
      write('package-lock.json', lockOf('qs'))
      expect(await install(two)).toEqual(['modules production'])
    })

    it.each<[string, () => void]>([
      ['settings of the app', () => write('.npmrc', 'package-lock=false')],
      ['another version of the manager', () => (tool.version = '4.19.0')],
    ])('are installed from nothing where there are %s', async (_what, change) => {
      await install(one)
      checkOutAnew()
      change()
      write('package-lock.json', lockOf('ms', 'qs'))
      expect((await install(two)).map((call) => call.split(' ')[0])).toEqual(['modules'])
    })

    it('are installed from nothing where a script of the app may have changed what came back', async () => {
      await install({ ...one, scripts: { build: 'true' } })
      checkOutAnew()
      write('package-lock.json', lockOf('ms', 'qs'))
      expect(await install(two)).toEqual(['modules production'])
    })
  })

  it('are installed in the app where they can be nowhere else', async () => {
    tool.mustBeInPlace = true
    expect(await install({ dependencies: { ms: '2' } })).toEqual(['app production .yarnrc.yml'])
    expect(lstatSync(at('app/node_modules')).isDirectory()).toBe(true)
    expect(existsSync(at('layers/modules'))).toBe(false)
  })

  it('take the place of what was committed in their stead', async () => {
    write('.pnp.cjs', '')
    write('node_modules/old/index.js', '')
    write('.yarn/cache/a.zip', '')
    await install()
    expect(said).toContain('node_modules is committed')
    for (const place of ['.pnp.cjs', 'node_modules/old', '.yarn/cache'])
      expect(existsSync(at('app', place))).toBe(false)
  })

  it('are none where the app asks for none', async () => {
    expect(await install({ scripts: { start: 'node x' } })).toEqual([])
    expect(existsSync(at('layers/modules'))).toBe(false)
    expect(said).toBe('')
  })

  describe('named in the bill of the image', () => {
    const built = { dependencies: { ms: '2' }, devDependencies: { tap: '2' }, scripts: { build: 'true' } }

    it('are those it has to run, not those of its build', async () => {
      expect(await install(built)).toHaveLength(2)
      expect(existsSync(at('layers/build-modules/node_modules/tap'))).toBe(true)
      expect(billed('modules')).toEqual(['pkg:npm/ms@2.1.3'])
      expect(billed('build-modules')).toBeNull()
      expect(billed('launch')).toBeNull()
    })

    it('are those left in the app where they were installed there', async () => {
      tool.mustBeInPlace = true
      expect(await install(built)).toEqual(['app all .yarnrc.yml', 'prune app'])
      expect(billed('launch')).toEqual(['pkg:npm/ms@2.1.3'])
      expect(billed('modules')).toBeNull()
    })

    it('are taken as they came back while nothing changed', async () => {
      await install()
      checkOutAnew()
      const kept = '{"components":[{"purl":"as it came back"}]}'
      writeFileSync(at('layers/modules.sbom.cdx.json'), kept)
      expect(await install()).toEqual([])
      expect(billed('modules')).toEqual(['as it came back'])
      checkOutAnew()
      write('yarn.lock', 'two')
      await install()
      expect(billed('modules')).toEqual(['pkg:npm/ms@2.1.3'])
    })

    it('are looked up where no bill came back', async () => {
      await install()
      checkOutAnew()
      rmSync(at('layers/modules.sbom.cdx.json'))
      expect(await install()).toEqual([])
      expect(billed('modules')).toEqual(['pkg:npm/ms@2.1.3'])
    })
  })
})
