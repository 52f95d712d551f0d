import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { waitFor } from '@croft/kit'
import type { BuildSpec } from '@croft/protocol'
import { buildNeeds } from './support/build-needs.js'
import type { Pushed } from './support/build-results.js'
import { APP, buildRig, type BuildRig } from './support/build-rig.js'
import { namesIn } from './support/memory-registry.js'
import { exampleFiles } from './support/source-trees.js'

/**
 * Builds from a source tar to an image that runs, in containers of the Linux backend; controller and registry only remember.
 * Packages come from the npm registry the host is configured for.
 */
const needs = buildNeeds()
let rig: BuildRig
beforeAll(async () => {
  if (needs === null) rig = await buildRig('10.222.240.0/22')
})
afterAll(async () => await rig?.close())

const LIMITS: BuildSpec['limits'] = {
  memoryBytes: 1024 ** 3,
  cpuShares: 1000,
  cpuQuotaMillis: null,
  pids: 256,
  diskBytes: 4 * 1024 ** 3,
}

/** Two more ways of not ending; the short form has one in a build script that sleeps. */
const ENDLESS: [string, string, RegExp, Partial<BuildSpec>][] = [
  ['computes without end', 'while :; do :; done', /took longer than/, { timeoutMs: 4_000 }],
  ['will not be asked to end', "trap '' TERM INT HUP; while :; do sleep 1; done", /took longer/, { timeoutMs: 4_000 }],
]
const isLong = process.env['CROFT_TEST_LONG'] !== undefined

type Succeeded = Extract<Pushed['result'], { outcome: 'succeeded' }>
type Failed = Extract<Pushed['result'], { outcome: 'failed' }>

function succeeded({ result, log }: Pushed): Succeeded {
  if (result.outcome !== 'succeeded') throw new Error(`${result.reason}: ${result.message}\n${log}`)
  return result
}
function failed({ result, log }: Pushed): Failed {
  if (result.outcome !== 'failed') throw new Error(`the build succeeded\n${log}`)
  return result
}

const packageJson = (more: object): string => JSON.stringify({ name: 'app', private: true, ...more })
/** An app without dependencies: no registry is asked. */
const plain = (scripts: Record<string, string>, files: Record<string, string> = {}): Record<string, string> => ({
  'package.json': packageJson({ scripts: { start: 'node server.js', ...scripts } }),
  'server.js': 'console.log("up")\n',
  ...files,
})

/** The JSON documents of an image in the registry. */
function documentsOf(image: string): {
  layers: string[]
  diffIds: string[]
  labels: Record<string, string>
  user: string
} {
  const manifest = JSON.parse(rig.registry.manifests.get(image)?.toString() ?? '{}') as {
    config: { digest: string }
    layers: { digest: string }[]
  }
  const config = JSON.parse(rig.registry.blobs.get(manifest.config.digest)?.toString() ?? '{}') as {
    config: { Labels: Record<string, string>; User: string }
    rootfs: { diff_ids: string[] }
  }
  return {
    layers: manifest.layers.map(({ digest }) => digest),
    diffIds: config.rootfs.diff_ids,
    labels: config.config.Labels,
    user: config.config.User,
  }
}

async function allNames(image: string): Promise<string[]> {
  const names: string[] = []
  for (const digest of documentsOf(image).layers.slice(1)) {
    names.push(...(await namesIn(rig.registry.blobs.get(digest) ?? Buffer.alloc(0))))
  }
  return names
}

/** Nothing of a build is left on the node. */
async function expectNothingLeft(): Promise<void> {
  expect(await rig.backend.containers()).toEqual([])
  const { builds, secrets } = rig.ports.paths
  await waitFor(() => [builds, secrets].every((folder) => !existsSync(folder) || readdirSync(folder).length === 0), {
    what: 'the folders of builds to be removed',
    timeoutMs: 10_000,
  })
}

describe.skipIf(needs !== null)('a Node app with a lock file', () => {
  const files = needs === null ? exampleFiles('node-express') : {}
  let first: Pushed

  beforeAll(async () => {
    if (needs === null) first = await rig.build(files)
  })

  it('is built from the registry, step by step in the grammar of a push', async () => {
    const { processTypes, newLayers } = succeeded(first)
    expect(first.log).toMatch(/^-----> Node\.js app detected \(package\.json\) +\d+\.\d s\n/)
    expect(first.log).toMatch(/\n-----> Installing dependencies\n {7}npm ci: 68 packages +\d+\.\d s\n/)
    expect(first.log).toMatch(
      /\n-----> Exporting image sha256:[0-9a-f]{4}\.\.\. \(7 new layers, [\d.]+ MB\) +\d+\.\d s\n$/,
    )
    expect(first.log).toMatch(/^[\n -~]*$/) // ASCII
    expect(processTypes).toEqual({ web: { command: 'node server.js', argv: ['/cnb/process/web'] } })
    expect(newLayers).toBe(7)
    const { record } = succeeded(first)
    expect(record?.steps.map(({ name }) => name)).toEqual([
      expect.stringContaining('detected'),
      'Node.js',
      expect.stringContaining('Exporting'),
    ])
    expect(record?.layers.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['stack debian-12', 'croft/node: node', 'app']),
    )
    expect(record?.layers.filter(({ isNew }) => isNew)).toHaveLength(7)
    await expectNothingLeft()
  })

  it('answers HTTP from the image, as a user who owns the app folder and nothing else', async () => {
    const { image } = succeeded(first)
    const run = await rig.serve(image, '/cnb/process/web', ['PORT=8080'])
    try {
      expect(await run.get('/')).toBe('Hello from Express on Croft\n')
      expect(
        await run.sh(
          'id -un; touch /workspace/x && echo mine; touch /layers/croft_node/x 2>/dev/null || echo not mine',
        ),
      ).toBe('croft\nmine\nnot mine\n')
      expect(await run.sh('ps -eo args 2>/dev/null || cat /proc/[0-9]*/cmdline | tr "\\0" " "')).not.toContain('npm')
    } finally {
      await run.end()
    }
    expect(documentsOf(image).user).toBe('1002:1002')
  })

  it('names the packages that are in the image', async () => {
    const { output } = await rig.runIn(succeeded(first).image, [
      '/bin/cat',
      '/layers/sbom/launch/croft_node/modules/sbom.cdx.json',
    ])
    const { components } = JSON.parse(output) as { components: { purl: string }[] }
    expect(components.map(({ purl }) => purl)).toContainEqual(expect.stringMatching(/^pkg:npm\/express@\d/))
    expect(new Set(components.map(({ purl }) => purl)).size).toBe(components.length)
    const ofNode = await rig.runIn(succeeded(first).image, [
      '/bin/cat',
      '/layers/sbom/launch/croft_node/node/sbom.cdx.json',
    ])
    expect(ofNode.output).toMatch(/"purl":"pkg:npm\/%40npmcli\/arborist@\d/) // npm brings its packages along
  })

  it('changed in one line, becomes one new layer, and npm is not run', async () => {
    rig.registry.uploads.length = 0
    const changed = { ...files, 'server.js': `${files['server.js']}// changed\n` }
    const second = await rig.build(changed, { previousImage: succeeded(first).image })
    expect(second.log).toMatch(/\n-----> Installing dependencies\n {7}dependencies unchanged +\d\.\d s\n/)
    expect(succeeded(second)).toMatchObject({ newLayers: 1 })
    expect(succeeded(second).newBytes).toBeLessThan(50_000)
    expect(rig.registry.uploads).toHaveLength(2) // the layer and the image's configuration
    const run = await rig.serve(succeeded(second).image, '/cnb/process/web', ['PORT=8080'])
    expect(await run.get('/')).toBe('Hello from Express on Croft\n')
    await run.end()
  })

  it('changed where no build looks, is built without Node, by the record of the build before, to the same image', async () => {
    const before = await rig.build(files, { previousImage: succeeded(first).image })
    const previousImage = succeeded(before).image
    const changed = { ...files, 'server.js': `${files['server.js']}// changed again\n` }
    const { paths } = rig.ports
    const platformNode = join(rig.folder, 'no-node')
    cpSync(join(paths.platformNode, 'package.json'), join(platformNode, 'package.json'))
    rig.ports.paths = { ...paths, platformNode }
    const short = await rig.build(changed, { previousImage })
    rmSync(join(paths.caches, APP, 'cache.json'))
    const refused = await rig.build(changed, { previousImage })
    rig.ports.paths = paths
    expect(short.log).toMatch(/\n-----> Installing dependencies\n {7}dependencies unchanged +0\.0 s\n/)
    expect(failed(refused).message).toContain('Node.js') // without the record it takes Node
    const long = await rig.build(changed, { previousImage })
    expect(long.log).toContain('dependencies unchanged')
    expect(succeeded(long).image).toBe(succeeded(short).image)
    expect(succeeded(long)).toMatchObject({ newLayers: 1 })
  })

  it('built again gives the same image, with what was kept and without', async () => {
    const { image } = succeeded(first)
    const again = await rig.build(files, { previousImage: image })
    expect(succeeded(again)).toMatchObject({ image, newLayers: 0 })
    expect(again.log).toContain('(nothing new)')
    const clean = await rig.build(files, { previousImage: image, change: { isClean: true } })
    expect(clean.log).toMatch(/npm ci: 68 packages/)
    expect(succeeded(clean).image).toBe(image)
  })

  it.runIf(isLong)('runs and builds again after the node lost all it had unpacked', async () => {
    const { image } = succeeded(first)
    await rig.loseLayers()
    const run = await rig.serve(image, '/cnb/process/web', ['PORT=8080'])
    expect(await run.get('/')).toBe('Hello from Express on Croft\n')
    await run.end()
    await rig.loseLayers()
    const again = await rig.build(files, { previousImage: image })
    expect(again.log).toContain('dependencies unchanged')
    expect(succeeded(again).image).toBe(image)
  })

  it('with a lock file that does not fit is refused with what is missing', async () => {
    const manifest = JSON.parse(files['package.json'] ?? '{}') as { dependencies: object }
    const misfit = { ...manifest, dependencies: { ...manifest.dependencies, 'left-pad': '1.3.0' } }
    const { reason, message, suggestion } = failed(
      await rig.build({ ...files, 'package.json': JSON.stringify(misfit) }),
    )
    expect(reason).toBe('buildpack')
    expect(message).toBe('package-lock.json does not fit package.json: left-pad@1.3.0 is missing from it')
    expect(suggestion).toContain('commit package-lock.json')
  })

  it('with other dependencies has these and none of the former ones', async () => {
    type Lock = { packages: Record<string, object> }
    const lock = JSON.parse(files['package-lock.json'] ?? '{}') as Lock
    const root = { name: 'app', dependencies: { ms: '*' } }
    const only = { ...lock, packages: { '': root, 'node_modules/ms': lock.packages['node_modules/ms'] } }
    const changed = {
      'server.js': '',
      'package.json': JSON.stringify(root),
      'package-lock.json': JSON.stringify(only),
    }
    const pushed = await rig.build(changed, { previousImage: succeeded(first).image })
    expect(pushed.log).toMatch(/npm ci: 1 package +/)
    const { output } = await rig.runIn(succeeded(pushed).image, ['/bin/ls', '-A', 'node_modules/'])
    expect(output).toBe('.package-lock.json\nms\n')
    const diffIds = documentsOf(succeeded(pushed).image).diffIds
    expect(documentsOf(succeeded(first).image).diffIds.filter((diffId) => diffIds.includes(diffId))).toHaveLength(5)

    // and with more again, which are added to these, it is the image that was made from nothing
    const grown = await rig.build(files, { previousImage: succeeded(pushed).image })
    expect(grown.log).toMatch(/npm install beside what was there: \d+ packages +/)
    expect(succeeded(grown).image).toBe(succeeded(first).image)
  })

  it.runIf(isLong)('may write into its dependencies while it builds: the image has what it saw', async () => {
    const scripted = (version: number): Record<string, string> => ({
      ...files,
      'version.txt': String(version),
      'package.json': JSON.stringify({
        ...(JSON.parse(files['package.json'] ?? '{}') as object),
        scripts: { start: 'node server.js', build: 'sh build.sh' },
      }),
      'build.sh':
        'mkdir -p node_modules/.made && cp version.txt node_modules/.made/ && rm -rf node_modules/ms && touch node_modules/vary/new && rm -f node_modules/vary/README.md\n',
    })
    const one = succeeded(await rig.build(scripted(1)))
    const two = await rig.build(scripted(2), { previousImage: one.image })
    expect(two.log).toContain('dependencies unchanged')
    for (const [image, version] of [
      [one.image, '1'],
      [succeeded(two).image, '2'],
    ] as const) {
      const { output } = await rig.runIn(image, [
        '/cnb/lifecycle/launcher',
        'cat node_modules/.made/version.txt; ls node_modules/vary; ls -d node_modules/ms',
      ])
      expect(output).toContain(`${version}HISTORY.md\nLICENSE\nindex.js\nnew\npackage.json\n`)
      expect(output).toContain("cannot access 'node_modules/ms'")
    }
    const names = await allNames(succeeded(two).image)
    expect(names.filter((name) => /\.wh\./.test(name))).toEqual([])
    expect(names).toContain('/layers/croft_node/modules/node_modules/express/package.json')
  })
})

describe.skipIf(needs !== null)('a buildpack for files of some names', () => {
  it('is asked where the app has one of them, and else not even started', async () => {
    const detects = ['ruby', 'python'].map((name) => join(rig.folder, 'buildpacks', name, 'bin/detect'))
    const before = detects.map((path) => readFileSync(path))
    for (const path of detects) writeFileSync(path, '#!/bin/sh\ntouch "asked-${CNB_BUILDPACK_DIR##*/}"\nexit 100\n')
    try {
      const names = await allNames(succeeded(await rig.build(plain({}, { 'requirements.txt': '' }))).image)
      expect(names.filter((name) => name.includes('asked-'))).toEqual(['/workspace/asked-python'])
    } finally {
      for (const [at, path] of detects.entries()) writeFileSync(path, before[at] ?? '')
    }
  })
})

describe.skipIf(needs !== null)('an app without dependencies', () => {
  it('has the processes of its Procfile before those of its start script', async () => {
    const { processTypes } = succeeded(
      await rig.build(plain({}, { Procfile: 'web: node server.js --procfile\nworker: sleep 1 && true\n' })),
    )
    expect(processTypes).toEqual({
      web: { command: 'node server.js --procfile', argv: ['/cnb/process/web'] },
      worker: { command: 'sleep 1 && true', argv: ['/cnb/process/worker'] },
    })
  })

  it('needs no package.json when a Procfile says what to run', async () => {
    const { image } = succeeded(
      await rig.build({ Procfile: 'web: echo "$GREETING from $(cat file)"\n', file: 'a file\n' }),
    )
    const { output } = await rig.runIn(image, ['/cnb/process/web'], ['GREETING=hello'])
    expect(output).toBe('hello from a file\n')
  })

  it('runs its build script with the variables of the build, which leave no trace in the image', async () => {
    const files = plain({ build: "node -e \"require('fs').writeFileSync('out.txt', process.env.FLAVOUR)\"" })
    const change = { env: { FLAVOUR: 'vanilla', TOKEN: 'canary-4711' } }
    const { image } = succeeded(await rig.build(files, { change }))
    expect((await rig.runIn(image, ['/bin/cat', 'out.txt'])).output).toBe('vanilla')
    const documents = JSON.stringify(documentsOf(image))
    expect(documents).not.toContain('canary-4711')
    expect((await rig.runIn(image, ['/usr/bin/env'])).output).not.toContain('canary-4711')
  })

  it('takes sockets, pipes and set-uid bits into no image', async () => {
    const script =
      'mkfifo pipe && cp /bin/true tool && chmod 4755 tool && chmod 600 server.js && ln -s /etc/passwd link'
    const { image } = succeeded(await rig.build(plain({ build: script })))
    const { output } = await rig.runIn(image, ['/cnb/lifecycle/launcher', 'stat -c "%n %a %U %F" *'])
    expect(output).toContain('tool 755 croft regular file')
    expect(output).toContain('server.js 644 croft regular file')
    expect(output).toContain('link 777 croft symbolic link')
    expect(output).not.toContain('pipe')
  })

  it('cannot make the platform read its own files, or write on after the build', async () => {
    const script = [
      'ln -s /etc/hostname /layers/croft_node/leak.toml',
      '(while true; do echo more >> late.txt; sleep 0.01; done) > /dev/null 2>&1 &',
      'true',
    ].join('\n')
    const { image } = succeeded(await rig.build(plain({ build: 'sh build.sh' }, { 'build.sh': script })))
    expect(JSON.stringify(documentsOf(image).labels)).not.toContain('leak')
    expect((await rig.runIn(image, ['/bin/ls', 'late.txt'])).exitCode).toBe(0)
    await expectNothingLeft()
  })
})

describe.skipIf(needs !== null)('a build that fails', () => {
  it.each<[string, Record<string, string>, Failed['reason'], RegExp]>([
    [
      'no buildpack matches',
      { 'main.rs': '' },
      'no-buildpack',
      /looked for (?=.*package\.json \(Node\.js\))(?=.*Procfile \(Procfile\))/,
    ],
    [
      'the Procfile has a mistake',
      plain({}, { Procfile: 'web: x\nnode server.js\n' }),
      'buildpack',
      /^Procfile, line 2: expected/,
    ],
    ['package.json has a mistake', { 'package.json': '{"name": ' }, 'buildpack', /^package\.json, line 1: not JSON: /],
    [
      'nothing says how to start',
      { 'package.json': packageJson({}) },
      'buildpack',
      /^nothing says how the app is started$/,
    ],
    [
      'its script fails',
      plain({ build: 'echo first; echo broken >&2; exit 3' }),
      'buildpack',
      /^the script build failed with exit code/,
    ],
    [
      'it asks for a Node that does not exist',
      { ...plain({}), '.nvmrc': 'v99.99.99' },
      'buildpack',
      /^there is no Node\.js v99\.99\.99/,
    ],
  ])('says so when %s', async (_what, files, reason, message) => {
    const pushed = await rig.build(files)
    expect(failed(pushed)).toMatchObject({ reason, message: expect.stringMatching(message) })
    expect(failed(pushed).suggestion).not.toBe('')
    await expectNothingLeft()
  })

  it('shows what the script said', async () => {
    const { log } = await rig.build(plain({ build: 'echo first; echo broken >&2; exit 3' }))
    expect(log).toContain('       first\n')
    expect(log).toContain('       broken\n')
  })

  it('is told as out of memory', async () => {
    const script = 'node -e "Buffer.alloc(1e9, 1)"'
    const change = { limits: { ...LIMITS, memoryBytes: 256 * 1024 ** 2 } }
    expect(failed(await rig.build(plain({ build: script }), { change }))).toMatchObject({
      reason: 'out-of-memory',
      message: 'the build needed more than its 0.3 GiB of memory',
    })
  })

  it.each(['big', '/layers/croft_node/big', '/tmp/big'])(
    'is told when it writes more than its disk into %s, and stopped',
    async (file) => {
      const change = { limits: { ...LIMITS, diskBytes: 300 * 1024 ** 2 } }
      const script = `head -c 300000000 /dev/zero > ${file}; sleep 60`
      const pushed = await rig.build(plain({ build: script }), { change })
      expect(failed(pushed)).toMatchObject({ reason: 'buildpack', message: expect.stringContaining('of disk') })
      expect(pushed.tookMs).toBeLessThan(20_000)
      await expectNothingLeft()
    },
  )

  it.each<[string, string, RegExp, Partial<BuildSpec>]>([
    [
      'starts processes without end',
      'bomb() { bomb | bomb & }; bomb; sleep 60', // bash tries again, for ever
      /more than its 64 processes/,
      { limits: { ...LIMITS, pids: 64 } },
    ],
    ['talks without end', 'yes flood; sleep 60', /said more than the 10 MiB/, {}],
    ...(isLong ? ENDLESS : []),
  ])('is stopped and told which limit it met when it %s', async (_what, script, message, change) => {
    const files = plain({ build: 'bash poison.sh' }, { 'poison.sh': script })
    const pushed = await rig.build(files, { change })
    expect(failed(pushed).message).toMatch(message)
    expect(pushed.tookMs).toBeLessThan(30_000)
    await expectNothingLeft()
  })

  it('is ended when its time is over', async () => {
    const pushed = await rig.build(plain({ build: 'sleep 60' }), { change: { timeoutMs: 4_000 } })
    expect(failed(pushed).reason).toBe('timeout')
    expect(pushed.tookMs).toBeLessThan(8_000)
    await expectNothingLeft()
  })

  it('ends at once when it is canceled, and leaves nothing', async () => {
    const cancel = new AbortController()
    let canceledAt = 0
    const pushed = await rig.build(plain({ build: 'echo ready; sleep 60' }), {
      signal: cancel.signal,
      onLog: (log) => {
        if (log.includes('ready') && canceledAt === 0) {
          canceledAt = performance.now()
          cancel.abort(new Error('the pusher left'))
        }
      },
    })
    expect(failed(pushed).reason).toBe('interrupted')
    expect(performance.now() - canceledAt).toBeLessThan(3_000)
    await expectNothingLeft()
  })

  it.runIf(isLong)('because the registry takes nothing leaves no draft of a layer', async () => {
    const drafts = (): string[] => readdirSync(join(rig.folder, 'layers')).filter((name) => name.startsWith('.new-'))
    rig.registry.isFull = true
    try {
      const files = plain({ build: 'mkdir public && echo full > public/index.html' }, { 'only-here.txt': 'full' })
      expect(failed(await rig.build(files)).reason).toBe('export')
      await waitFor(() => drafts().length === 0, { what: 'the drafts to be gone', timeoutMs: 10_000 })
      await expectNothingLeft()
    } finally {
      rig.registry.isFull = false
    }
  })

  it('is told as a source that did not arrive', async () => {
    const pushed = await rig.build({}, { source: () => Promise.reject(new Error('the controller answered 404')) })
    expect(failed(pushed)).toMatchObject({ reason: 'source', message: expect.stringContaining('answered 404') })
    await expectNothingLeft()
  })
})

describe.runIf(needs === null && isLong)('a build beside apps that take every processor', () => {
  it('has what they leave, and its share once that is nothing, so that it ends', async () => {
    const { image } = succeeded(await rig.build(plain({})))
    await rig.ports.images.ensure(APP, image)
    const busy = await rig.backend.create({ handle: 'busy', image: { uri: `croft:${image}` } })
    const spin = `for n in $(seq ${2 * availableParallelism()}); do (while :; do :; done) & done; wait`
    await busy.run({ path: '/bin/sh', args: ['-c', spin], user: 'croft' })
    const weights = new Set<number>()
    try {
      const building = rig.build(plain({ build: 'node -e "for (let n = 0; n < 1e9; n += 1);"' }))
      let isOver = false
      const ended = building.finally(() => (isOver = true))
      await waitFor(
        async () => {
          for (const container of await rig.backend.containers()) {
            const limits = container.handle === 'busy' ? null : await container.limits().catch(() => null)
            if (limits?.cpu?.weight !== undefined) weights.add(limits.cpu.weight)
          }
          return isOver
        },
        { what: 'the build to end', timeoutMs: 110_000, everyMs: 50 },
      )
      succeeded(await ended)
    } finally {
      await rig.backend.destroy('busy')
    }
    expect([...weights]).toEqual([2, LIMITS.cpuShares])
  })
})

describe.skipIf(needs !== null)('other versions of Node', () => {
  it.runIf(isLong)('come from the npm registry, once', async () => {
    const files = {
      ...plain({}),
      'package.json': packageJson({ engines: { node: '22.x' }, scripts: { start: 'node --version' } }),
    }
    const first = await rig.build(files, { appId: '01890000-0000-7000-8000-000000000022' })
    expect(first.log).toMatch(
      /Installing Node\.js \(22\.x in package\.json engines\.node\)\n {7}Node\.js 22\.\d+\.\d+, npm/,
    )
    const { image } = succeeded(first)
    const second = await rig.build(
      { ...files, other: '1' },
      { appId: '01890000-0000-7000-8000-000000000022', previousImage: image },
    )
    expect(second.log).not.toContain('Installing Node.js')
    expect(succeeded(second).newLayers).toBe(1)
    expect((await rig.runIn(image, ['/cnb/process/web'])).output).toMatch(/^v22\./)
  })
})

it.skipIf(needs === null)(`builds are not tried here: this host lacks ${needs}`, () => {
  expect(APP).toBeDefined()
})
