import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HOST_REACH, type BuildReach } from '@croft/protocol'
import { parseImageConfig, parseManifest } from '@croft/oci'
import { buildNeeds, makeBuildah } from './support/build-needs.js'
import { failed, succeeded } from './support/build-results.js'
import { buildRig, type BuildRig } from './support/build-rig.js'
import { namesIn } from './support/memory-registry.js'
import { exampleFiles } from './support/source-trees.js'
import { makeLan, type Lan } from './support/lan.js'
import { PNPM, YARN_1 } from './support/node-apps.js'
import { packageMirror, type PackageMirror } from './support/package-mirror.js'

/** Builds that get their packages from a mirror in the private network, as the platform's settings say. */
const needs = buildNeeds()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
let rig: BuildRig
let lan: Lan
const mirrors: PackageMirror[] = []
beforeAll(async () => {
  if (needs !== null) return
  lan = await makeLan()
  rig = await buildRig('10.222.252.0/22')
  mirrors.push(await packageMirror(lan, join(rig.folder, 'mirror-1'), 4873))
  if (isLong) mirrors.push(await packageMirror(lan, join(rig.folder, 'mirror-2'), 4874))
})
afterAll(async () => {
  await rig?.close()
  for (const mirror of mirrors) await mirror.close()
  await lan?.close()
})

const mirror = (n = 0): PackageMirror => mirrors[n] as PackageMirror
const reachOf = ({ url, ca }: PackageMirror): { reach: BuildReach } => ({
  reach: { ...HOST_REACH, npmRegistry: url, ca, noProxy: '10.223.7.2' },
})
const appId = (n: number): string => `01890000-0000-7000-8000-0000000008${String(n).padStart(2, '0')}`

/** Says in the image what the build could connect to, and what its package says. */
const BUILD = `
const { connect } = require('node:net'), { writeFileSync } = require('node:fs')
const tried = ([host, port]) => new Promise((resolve) => {
  const socket = connect({ host, port, timeout: 1500 }, () => resolve(port + ' open'))
  for (const event of ['error', 'timeout']) socket.on(event, () => resolve(port + ' closed'))
})
Promise.all([['10.223.7.2', 4873], ['10.223.7.2', 9090], ['203.0.113.250', 8080]].map(tried)).then((found) => {
  writeFileSync('found.txt', found.join(', ') + ', ' + require('greeting') + '\\n')
  process.exit()
})
`
function app(
  lock: Record<string, string>,
  build = "require('node:fs').writeFileSync('found.txt', require('greeting'))",
): Record<string, string> {
  const scripts = { start: 'node -p 1', build: 'node build.js' }
  return {
    'package.json': JSON.stringify({ name: 'app', private: true, scripts, dependencies: { greeting: '1.0.0' } }),
    'build.js': build,
    ...lock,
  }
}
const npmLock = (): Record<string, string> => ({
  'package-lock.json': JSON.stringify({
    name: 'app',
    lockfileVersion: 3,
    packages: {
      '': { name: 'app', dependencies: { greeting: '1.0.0' } },
      'node_modules/greeting': {
        version: '1.0.0',
        resolved: 'https://registry.npmjs.org/greeting/-/greeting-1.0.0.tgz',
        integrity: mirror().integrity,
      },
    },
  }),
})

describe.runIf(needs === null && isLong)('a mirror of npm in a private range, with a certificate of its own', () => {
  it('is where packages come from; nothing else there is let through to, and the Internet as ever', async () => {
    const pushed = await rig.build(app(npmLock(), BUILD), { appId: appId(1), wishes: reachOf(mirror()) })
    const { image } = succeeded(pushed)
    const { output } = await rig.runIn(image, ['/bin/cat', 'found.txt'])
    expect(output).toBe('4873 open, 9090 closed, 8080 open, hello from the mirror\n')
    expect(mirror().requests()).toContain('/npm/greeting/-/greeting-1.0.0.tgz')
  })

  it.runIf(isLong)('leaves no trace in the image: another one gives the same', async () => {
    const images = []
    for (const [n, one] of mirrors.entries()) {
      images.push(succeeded(await rig.build(app(npmLock()), { appId: appId(10 + n), wishes: reachOf(one) })).image)
    }
    expect(images[1]).toBe(images[0])
  })

  it.runIf(isLong)('is refused without its certificate among the settings', async () => {
    const { reach } = reachOf(mirror())
    const refused = failed(
      await rig.build(app(npmLock()), { appId: appId(2), wishes: { reach: { ...reach, ca: null } } }),
    )
    expect(refused.message).toMatch(/^the certificate of the npm registry is not trusted/)
    expect(refused.suggestion).toContain('certificates of builds')
  })

  it.runIf(isLong).each<[string, Record<string, string>, (integrity: string) => Record<string, string>]>([
    [
      'yarn 1',
      { 'yarn.lock': YARN_1 },
      (integrity) => ({
        'yarn.lock': `# yarn lockfile v1\n\n\ngreeting@1.0.0:\n  version "1.0.0"\n  resolved "https://registry.yarnpkg.com/greeting/-/greeting-1.0.0.tgz"\n  integrity ${integrity}\n`,
      }),
    ],
    [
      'pnpm',
      { 'pnpm-lock.yaml': PNPM },
      (integrity) => ({
        'pnpm-lock.yaml': `lockfileVersion: '9.0'\n\nsettings:\n  autoInstallPeers: true\n  excludeLinksFromLockfile: false\n\nimporters:\n\n  .:\n    dependencies:\n      greeting:\n        specifier: 1.0.0\n        version: 1.0.0\n\npackages:\n\n  greeting@1.0.0:\n    resolution: {integrity: ${integrity}}\n\nsnapshots:\n\n  greeting@1.0.0: {}\n`,
      }),
    ],
  ])('is where %s gets them from, whatever its lock file names', async (name, first, lockOf) => {
    const id = appId(name === 'pnpm' ? 20 : 21)
    // The manager itself is kept of a build before: the mirror does not have it.
    const before = { 'package.json': '{"name":"app","private":true,"scripts":{"start":"node -p 1"}}', ...first }
    const { image } = succeeded(await rig.build(before, { appId: id }))
    const files = app(lockOf(mirror().integrity))
    const pushed = await rig.build(files, { appId: id, previousImage: image, wishes: reachOf(mirror()) })
    const { output } = await rig.runIn(succeeded(pushed).image, ['/bin/cat', 'found.txt'])
    expect(output).toBe('hello from the mirror')
  })
})

describe.runIf(needs === null && isLong)("the platform's egress list", () => {
  /** Says which of these a build can connect to. */
  const probe = (targets: string[]): string => `
const { connect } = require('node:net'), { writeFileSync } = require('node:fs')
const tried = (target) => new Promise((resolve) => {
  const [host, port] = target.split(':')
  const socket = connect({ host, port, timeout: 1500 }, () => resolve(target + ' open'))
  for (const event of ['error', 'timeout']) socket.on(event, () => resolve(target + ' closed'))
})
Promise.all(${JSON.stringify(targets)}.map(tried)).then((found) => {
  writeFileSync('found.txt', found.join('\\n') + '\\n')
  process.exit()
})`
  const found = async (egress: string[], targets: string[], n: number): Promise<string[]> => {
    const files = {
      'package.json': JSON.stringify({
        name: 'app',
        private: true,
        scripts: { start: 'node -p 1', build: 'node build.js' },
      }),
      'build.js': probe(targets),
    }
    const pushed = await rig.build(files, { appId: appId(n), wishes: { reach: { ...HOST_REACH, egress } } })
    const { output } = await rig.runIn(succeeded(pushed).image, ['/bin/cat', 'found.txt'])
    return output.trim().split('\n')
  }

  it('lets a build through to what it names, at its port, and to nothing else of this host or a private range', async () => {
    const listener = createServer((socket) => socket.end()).listen(0, '0.0.0.0')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    const neighbour = await rig.backend.create({ handle: 'egress-neighbour' })
    try {
      const { containerIp, hostIp } = await neighbour.info()
      const targets = ['10.223.7.2:9090', '10.223.7.2:8080', `${lan.host}:${port}`, `${hostIp}:${port}`]
      const closed = [...targets, `${containerIp}:80`].map((target) => `${target} closed`)
      const all = closed.map((line) => line.replace(' closed', ''))
      expect(await found([], all, 50)).toEqual(closed)
      expect(await found(['10.223.7.2:9090'], all, 51)).toEqual(['10.223.7.2:9090 open', ...closed.slice(1)])
      // not even what it names of them: this host, and other containers
      const named = [`${lan.host}:${port}`, `${hostIp}:${port}`, `${containerIp}/30:80`, '10.223.7.0/29:8080']
      expect(await found(named, all, 52)).toEqual([
        '10.223.7.2:9090 closed',
        '10.223.7.2:8080 open',
        ...closed.slice(2),
      ])
    } finally {
      listener.close()
      await rig.backend.destroy(neighbour.handle)
    }
  })
})

describe.runIf(needs === null && isLong)('a Dockerfile', () => {
  it('is built with the mirrors, proxies and certificates of the platform, and its image tells nothing of them', async () => {
    expect(await makeBuildah()).toBeNull()
    const { url } = mirror()
    const dockerfile = `FROM croft/debian-12
ADD ${url}greeting /greeting.json
RUN grep -o greeting-1.0.0.tgz /greeting.json
RUN echo "to $no_proxy without"
RUN --mount=type=secret,id=npmrc,target=/opt/npmrc grep ^registry= /opt/npmrc
RUN --mount=type=secret,id=ca.crt grep -c BEGIN /run/secrets/ca.crt
RUN --mount=type=secret,id=pip.conf test ! -e /run/secrets/pip.conf && touch /made
`
    const pushed = await rig.build(
      { Dockerfile: dockerfile },
      { appId: appId(3), wishes: { ...reachOf(mirror()), dockerfile } },
    )
    const { image } = succeeded(pushed)
    expect(pushed.log).toContain(`       registry=${url}\n`)
    expect(pushed.log).toContain('       to 10.223.7.2 without\n')
    expect(pushed.log).toContain('       greeting-1.0.0.tgz\n')
    const manifest = parseManifest(rig.registry.manifests.get(image) ?? Buffer.alloc(0))
    const names = await Promise.all(
      manifest.layers.slice(1).map(({ digest }) => namesIn(rig.registry.blobs.get(digest) ?? Buffer.alloc(0))),
    )
    expect(names.flat()).toContain('made')
    expect(names.flat().filter((name) => /^(opt|run\/secrets|cnb)\/./.test(name))).toEqual([])
    const config = parseImageConfig(rig.registry.blobs.get(manifest.config.digest) ?? Buffer.alloc(0))
    expect(JSON.stringify(config.config)).not.toContain('10.223.7.2')
  })
})

describe.runIf(needs === null && isLong)('the mirror of', () => {
  const php = { 'index.php': '', 'composer.json': '{"require": {"monolog/monolog": "^3"}}' }
  it.each<[string, Record<string, string>, (url: string) => Partial<BuildReach>]>([
    ['ruby', exampleFiles('ruby-sinatra'), (url) => ({ rubygemsMirror: url })],
    ['python', exampleFiles('python-flask'), (url) => ({ pypiIndex: url })],
    ['php', php, (url) => ({ packagistMirror: url })],
  ])('%s is what its packages are asked of', async (language, files, settingsOf) => {
    const url = mirror().url.replace('/npm/', `/${language}/`)
    const { reach } = reachOf(mirror())
    const pushed = await rig.build(files, {
      appId: appId(30 + language.length),
      wishes: { reach: { ...reach, npmRegistry: null, ...settingsOf(url) } },
      change: { timeoutMs: 300_000 },
    })
    const asked = mirror()
      .requests()
      .filter((path) => path.startsWith(`/${language}/`))
    expect(asked, `${pushed.log}${JSON.stringify(pushed.result)}`).not.toEqual([])
  })
})

it.skipIf(needs === null)(`mirrors are not tried here: this host lacks ${needs}`, () => {
  expect(needs).not.toBeNull()
})
