import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseBuildpackChoice } from '@croft/lifecycle'
import type { WishedBuildpack } from '@croft/protocol'
import { addBuildpacks } from '../../apps/cli/src/buildpacks/added.js'
import { buildNeeds } from './support/build-needs.js'
import type { Pushed } from './support/build-results.js'
import { buildRig, gitSourceOf, type BuildRig } from './support/build-rig.js'
import { httpsGit, type HttpsGit } from './support/https-git.js'

/**
 * Buildpacks that are not Croft's own: two of our making, one classic and one Cloud Native, fetched over https from loopback; and
 * unmodified ones of others from the folder in CROFT_FOREIGN_BUILDPACKS, when it is set.
 */
const FIXTURES = resolve(import.meta.dirname, 'fixtures/foreign')
const needs = buildNeeds()
let rig: BuildRig
let git: HttpsGit
let work: string
beforeAll(async () => {
  if (needs !== null) return
  work = mkdtempSync('/tmp/foreign-spec-')
  rig = await buildRig('10.223.16.0/22')
  git = await httpsGit(join(work, 'git'))
  rig.ports.gitSource = gitSourceOf(rig.folder, [{ host: '127.0.0.1', port: git.port }], git.ca)
})
afterAll(async () => {
  await git?.close()
  await rig?.close()
  if (work !== undefined) rmSync(work, { recursive: true, force: true })
})

type Succeeded = Extract<Pushed['result'], { outcome: 'succeeded' }>
function succeeded({ result, log }: Pushed): Succeeded {
  if (result.outcome !== 'succeeded') throw new Error(`${result.reason}: ${result.message}\n${log}`)
  return result
}
const failed = ({ result, log }: Pushed): string => {
  if (result.outcome !== 'failed') throw new Error(`the build succeeded\n${log}`)
  return `${result.message}\n${result.suggestion}`
}
const wished = (...texts: string[]): WishedBuildpack[] =>
  texts.map((text) => parseBuildpackChoice(text) ?? expect.unreachable(text))
const app = (n: number): string => `01890000-0000-7000-8000-0000000000${String(n).padStart(2, '0')}`
/** A copy of a fixture, to be changed. */
function copyOf(fixture: string): string {
  const folder = mkdtempSync(join(work, `${fixture}-`))
  cpSync(join(FIXTURES, fixture), folder, { recursive: true })
  return folder
}

describe.skipIf(needs !== null)('a classic buildpack', () => {
  let source: string
  let first: Pushed
  const build = (files: Record<string, string>, more: object = {}): Promise<Pushed> =>
    rig.build(
      { 'greeting.txt': 'world\n', ...files },
      { appId: app(1), wishes: { group: wished(git.url('greet')), from: '.buildpacks' }, ...more },
    )

  beforeAll(async () => {
    if (needs !== null) return
    source = copyOf('classic')
    await git.publish('greet', source)
    first = await build({}, { change: { env: { GREETING: 'hi' } } })
  })

  it('is fetched, and runs as where it comes from: own folder, cache, variables from files, the path of the running app', () => {
    expect(succeeded(first).processTypes).toEqual({
      web: { command: 'greet && echo "$GREET_DEFAULT in $PWD"', argv: ['/cnb/process/web'] },
    })
    expect(first.log).toMatch(
      /-----> Using buildpacks of \.buildpacks\n {7}https:\/\/127\.0\.0\.1:\d+\/greet\.git at [0-9a-f]{12}\n/,
    )
    expect(first.log).toContain('-----> Installing greet for heroku-22\n       built 1 times before and now\n')
    expect(succeeded(first).buildpacks).toEqual([
      { id: 'croft/classic', version: '0.1.0', origin: expect.stringMatching(/greet\.git at [0-9a-f]{12}$/) },
    ])
  })

  it('leaves an app that runs behind its profiles, with the variables of its release', async () => {
    const { output } = await rig.runIn(succeeded(first).image, ['/cnb/process/web'])
    expect(output).toBe('hi from /app/.heroku/greet: world (profile of /app)\nfrom release in /app\n')
  })

  it('makes layers: a change of one file ships one small one, from the kept cache and without asking again', async () => {
    const asked = git.requests.length
    const image = succeeded(first).image
    const second = await build(
      { 'greeting.txt': 'moon\n' },
      { previousImage: image, change: { env: { GREETING: 'hi' } } },
    )
    const { newLayers, newBytes } = succeeded(second)
    expect({ newLayers, isSmall: newBytes < 5_000 }).toEqual({ newLayers: 1, isSmall: true })
    expect(second.log).toContain('built 2 times before and now')
    expect(git.requests.length).toBe(asked)
    const { output } = await rig.runIn(succeeded(second).image, ['/cnb/process/web'])
    expect(output).toContain('moon')
  })

  it('stays at the commit it was pinned to until a build from scratch', async () => {
    writeFileSync(join(source, 'share/greeting'), 'newer\n')
    const commit = await git.publish('greet', source)
    const pinned = await build({})
    expect(pinned.log).not.toContain(commit.slice(0, 12))
    const clean = await build({}, { change: { isClean: true } })
    expect(clean.log).toContain(`at ${commit.slice(0, 12)}`)
    const { output } = await rig.runIn(succeeded(clean).image, ['/cnb/process/web'])
    expect(output).toContain('newer from /app')
  })

  it('lets the Procfile say what runs, and hands its exports to the buildpacks behind it', async () => {
    const script: WishedBuildpack = {
      kind: 'inline',
      id: 'me/after',
      api: '0.10',
      shell: '/bin/bash',
      script: 'echo "exported $GREET_EXPORTED, $(command -v greet)"',
    }
    const pushed = await build(
      { Procfile: 'web: greet\nworker: sleep 5\n' },
      { appId: app(2), wishes: { group: [...wished(git.url('greet')), script], from: 'project.toml' } },
    )
    expect(Object.keys(succeeded(pushed).processTypes)).toEqual(['web', 'worker'])
    expect(pushed.log).toContain('exported yes, /app/.heroku/greet/bin/greet')
  })

  it('says why it does not match', async () => {
    const pushed = await rig.build(
      { 'x.txt': '' },
      { appId: app(3), wishes: { group: wished(git.url('greet')), from: '.buildpacks' } },
    )
    expect(failed(pushed)).toContain('no buildpack matches this app')
    expect(pushed.log).toMatch(
      /croft\/classic 0\.1\.0: did not match: https:.* does not match this app: there is no greeting\.txt/,
    )
  })
})

describe.skipIf(needs !== null)('a Cloud Native Buildpack of somebody else', () => {
  let first: Pushed
  const files = { 'marker.txt': '', 'static/a.css': 'a {}', 'static/b.js': 'b' }
  const build = (previousImage: string | null = null): Promise<Pushed> =>
    rig.build(files, {
      appId: app(4),
      previousImage,
      wishes: { group: wished('./tools/marker'), from: 'project.toml', env: { MARKER: 'by project.toml' } },
      folders: { 'tools/marker': join(FIXTURES, 'cnb') },
    })

  beforeAll(async () => {
    if (needs === null) first = await build()
  })

  it('runs from a folder of the source, with what its API gives it', async () => {
    succeeded(first)
    expect(first.log).toContain('-----> Using buildpacks of project.toml\n       ./tools/marker\n')
    expect(first.log).toContain('---> Marker for debian 12, told by project.toml\n')
    expect(first.log).toContain('restored: nothing, sbom no')
  })

  it('leaves an image that starts as it says, with its programs of exec.d and its arguments', async () => {
    const { image } = succeeded(first)
    expect((await rig.runIn(image, ['/cnb/process/web'])).output).toBe(
      'marked always replaceable with ink, exec.d in /workspace\n',
    )
    expect((await rig.runIn(image, ['/cnb/process/web', 'mine'])).output).toContain('marked always mine')
  })

  it('has its slices, its bills of materials and its labels in the image, and nothing that it put aside', async () => {
    const { image } = succeeded(first)
    const line =
      'cat /layers/sbom/launch/fixture_marker/tool/sbom.cdx.json; ls /layers/fixture_marker /workspace/static'
    const { output } = await rig.runIn(image, ['/cnb/lifecycle/launcher', line])
    expect(output).toBe(
      '{"bomFormat":"CycloneDX","of":"tool"}\n/layers/fixture_marker:\ntool\n\n/workspace/static:\na.css\nb.js\n',
    )
    const documents = JSON.parse(rig.registry.manifests.get(image)?.toString() ?? '{}')
    const config = JSON.parse(rig.registry.blobs.get(documents.config.digest)?.toString() ?? '{}')
    expect(config.config.Labels).toMatchObject({ fixture: 'marked', 'io.buildpacks.exec-env': 'production' })
    const label = JSON.parse(config.config.Labels['io.buildpacks.lifecycle.metadata'])
    expect(label).toMatchObject({
      app: [{}, {}],
      sbom: {},
      buildpacks: [{ key: 'fixture/marker', store: { metadata: { seen: true } } }],
    })
  })

  it('gets back what it kept, and the same source makes the same layers', async () => {
    const second = await build(succeeded(first).image)
    expect(second.log).toContain('restored: 1, sbom yes')
    expect(succeeded(second)).toMatchObject({ image: succeeded(first).image, newLayers: 0 })
  })

  it('may be fetched by a commit, too', async () => {
    const commit = await git.publish('marker', copyOf('cnb'))
    const wishes = { group: wished(`${git.url('marker')}#${commit}`), from: "the app's setting" }
    const pushed = await rig.build(files, { appId: app(5), wishes })
    expect(pushed.log).toContain(`#${commit} at ${commit.slice(0, 12)}`)
    succeeded(pushed)
  })
})

describe.skipIf(needs !== null)('a buildpack that an operator added', () => {
  const build = (team: string): Promise<Pushed> =>
    rig.build(
      { 'marker.txt': '' },
      { appId: app(7), wishes: { group: wished('fixture/marker'), from: 'project.toml', team } },
    )

  it('is named by its id, by apps of the teams it was added for', async () => {
    await addBuildpacks(join(rig.folder, 'home'), join(FIXTURES, 'cnb'), ['web'], new Date())
    const pushed = await build('web')
    expect(pushed.log).toContain('-----> Using buildpacks of project.toml\n       fixture/marker 1.2.3\n')
    expect(succeeded(pushed).buildpacks).toEqual([
      { id: 'fixture/marker', version: '1.2.3', origin: expect.stringMatching(/^sha256:/) },
    ])
    expect(failed(await build('others'))).toContain('there is no buildpack fixture/marker here')
  })
})

describe.skipIf(needs !== null)('a buildpack that may not be used', () => {
  const build = async (text: string, more: object = {}): Promise<string> =>
    failed(
      await rig.build(
        { 'x.txt': '' },
        { appId: app(6), wishes: { group: wished(text), from: '.buildpacks', ...more } },
      ),
    )

  it.each<[string, () => string, object, RegExp]>([
    ['is not installed', () => 'heroku/nodejs', {}, /there is no buildpack heroku\/nodejs here\ninstalled are croft\//],
    ['is no folder of the source', () => './nosuch', {}, /\.\/nosuch is no folder of the source/],
    [
      'comes from where the platform allows none',
      () => git.url('greet'),
      { sources: ['https://allowed/'] },
      /may not be fetched from .*\nallowed are .* https:\/\/allowed\//,
    ],
    ['lies in a private range', () => 'https://127.0.0.1:1/x.git', {}, /lies in a private range\n.* folder of the app/],
    ['is at an address nobody answers', () => git.url('nosuch'), {}, /could not be fetched: .*not found/],
    ['has no such ref', () => `${git.url('greet')}#nosuch`, {}, /could not be fetched: .*nosuch/],
  ])('%s', async (_why, text, more, expected) => {
    expect(await build(text(), more)).toMatch(expected)
  })

  it('is none', async () => {
    const folder = mkdtempSync(join(work, 'none-'))
    writeFileSync(join(folder, 'README.md'), 'x')
    await git.publish('none', folder)
    expect(await build(git.url('none'))).toContain('holds no buildpack: neither bin/build nor bin/compile')
  })
})

const THEIRS = process.env['CROFT_FOREIGN_BUILDPACKS'] ?? ''
const theirs =
  THEIRS === ''
    ? []
    : readdirSync(THEIRS, { withFileTypes: true }).filter((one) => one.isDirectory() && !one.name.endsWith('.app'))

/**
 * An app that many buildpacks take. Beside the folder of a buildpack may lie `<name>.app`, another app for it; `<name>.env`,
 * lines of NAME=VALUE; `<name>.group`, names of all buildpacks that take part, one a line, or ids of installed ones; `<name>.app.output`, what the app's
 * first process has to say.
 */
const COMMON = {
  'package.json': '{"name":"app","version":"1.0.0","private":true,"scripts":{"start":"node server.js"}}',
  'package-lock.json':
    '{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0"}}}',
  'server.js': 'console.log("up")\n',
  Procfile: 'web: echo up\n',
  'index.html': '<p>up</p>\n',
  'static.json': '{"root":"."}\n',
}

function linesOf(file: string, otherwise: string[]): string[] {
  const path = join(THEIRS, file)
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : otherwise
}

describe.skipIf(needs !== null || THEIRS === '')('an unmodified buildpack of others', () => {
  it.each(theirs.map(({ name }) => name))('%s builds an app that starts', async (name) => {
    const own = join(THEIRS, `${name}.app`)
    const group = linesOf(`${name}.group`, [name])
    for (const one of group) if (!one.includes('/')) await git.publish(one, join(THEIRS, one))
    const env = linesOf(`${name}.env`, []).map((line) => line.split('=', 2) as [string, string])
    const pushed = await rig.build(existsSync(own) ? {} : COMMON, {
      appId: app(50 + theirs.findIndex((one) => one.name === name)),
      wishes: { group: wished(...group.map((one) => (one.includes('/') ? one : git.url(one)))), from: '.buildpacks' },
      change: { env: Object.fromEntries(env) },
      ...(existsSync(own) && { folders: { '.': own } }),
    })
    const { image, processTypes } = succeeded(pushed)
    const expected = existsSync(`${own}.output`) ? readFileSync(`${own}.output`, 'utf8').trim() : ''
    const [type = 'web'] = Object.keys(processTypes)
    const { output } = await rig.runIn(image, ['timeout', '5', `/cnb/process/${type}`])
    expect(output).toContain(expected)
  })
})
