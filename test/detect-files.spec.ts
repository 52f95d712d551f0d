import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseBuildpackToml } from '@croft/lifecycle'

/** The files without which the platform does not ask a buildpack, held against its `bin/detect`. */
const root = resolve(import.meta.dirname, '..')
const buildpacks = globSync('buildpacks/*/buildpack.toml', { cwd: root }).flatMap((file) => {
  const toml = parseBuildpackToml(readFileSync(join(root, file), 'utf8'), file)
  const files = toml.metadata?.croft?.['only-with']
  return files === undefined ? [] : [{ id: toml.buildpack.id, detect: join(root, dirname(file), 'bin/detect'), files }]
})

describe('a buildpack that is only asked where the app has one of some files', () => {
  let app = ''
  const write = (file: string): void => {
    mkdirSync(dirname(join(app, file)), { recursive: true })
    writeFileSync(join(app, file), '{}')
  }
  const detect = (program: string): number | null =>
    spawnSync(program, ['/platform', '/dev/null'], { cwd: app, env: { PATH: '/usr/bin:/bin' } }).status

  beforeEach(() => {
    app = mkdtempSync(join(tmpdir(), 'detect-files-'))
  })
  afterEach(() => rmSync(app, { recursive: true, force: true }))

  it('is every one that languages have', () => {
    expect(buildpacks.map(({ id }) => id).toSorted()).toEqual(
      ['apt', 'node', 'php', 'procfile', 'python', 'ruby', 'static'].map((name) => `croft/${name}`),
    )
  })

  it.each(buildpacks)('$id does not match an app that has every file but these', ({ detect: program, files }) => {
    const script = readFileSync(program, 'utf8')
    const named = [...script.matchAll(/-f ([\w./-]+)|has\("([^"]*)"\)/g)].flatMap(
      ([, file, list]) => file ?? list?.split(' ') ?? [],
    )
    const others = new Set([...named, ...buildpacks.flatMap((one) => one.files)])
    for (const file of others) if (!files.includes(file)) write(file)
    expect(detect(program)).toBe(100)
  })

  it.each(buildpacks)('$id matches an app that has one of them', ({ detect: program, files }) => {
    for (const file of files) {
      write(file)
      expect(detect(program)).toBe(0)
      rmSync(join(app, file))
    }
  })
})
