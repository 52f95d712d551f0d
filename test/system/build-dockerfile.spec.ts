import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { waitFor } from '@croft/kit'
import { parseImageConfig, parseManifest, type ImageConfig } from '@croft/oci'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { processesOf } from '../../apps/controller/src/image/image-process.js'
import { buildNeeds, makeBuildah } from './support/build-needs.js'
import { failed, succeeded, type Pushed } from './support/build-results.js'
import { APP, buildRig, type BuildOptions, type BuildRig } from './support/build-rig.js'
import { namesIn } from './support/memory-registry.js'
import { exampleFiles } from './support/source-trees.js'

/** Dockerfiles from source to an image that answers. Tag: registry (the image with buildah is made from Debian's packages). */
const needs = buildNeeds() ?? (await makeBuildah())
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
let rig: BuildRig
beforeAll(async () => {
  if (needs === null) rig = await buildRig('10.222.216.0/22')
})
afterAll(async () => await rig?.close())

const BASE = 'FROM croft/debian-12\n'
const COMMAND_NOT_THERE: [string, string, RegExp] = [
  'a command that is not there',
  `${BASE}RUN frobnicate\n`,
  /^Dockerfile line 2: RUN frobnicate ended with exit code 127: .*frobnicate: not found$/,
]
const app = (number: number): string => `01890000-0000-7000-8000-0000000001${String(number).padStart(2, '0')}`

/** Builds the Dockerfile of some files. */
function build(files: Record<string, string>, options: BuildOptions = {}): Promise<Pushed> {
  return rig.build(files, { ...options, wishes: { dockerfile: files['Dockerfile'] ?? '', ...options.wishes } })
}

function documentsOf(image: string): { config: ImageConfig; layers: string[] } {
  const manifest = parseManifest(rig.registry.manifests.get(image) ?? Buffer.alloc(0))
  const config = parseImageConfig(rig.registry.blobs.get(manifest.config.digest) ?? Buffer.alloc(0))
  return { config, layers: manifest.layers.map(({ digest }) => digest) }
}

/** A container of an image, as an app of it runs: what `run` gives is what a command writes to stdout. */
async function inside<T>(
  image: string,
  use: (it: { ip: string; run: (argv?: string[]) => Promise<string> }) => Promise<T>,
): Promise<T> {
  await rig.ports.images.ensure(APP, image)
  const container = await rig.backend.create({ image: { uri: `croft:${image}` } })
  const { web } = processesOf(documentsOf(image).config, { nodeArch: process.arch }).processTypes
  const run = async (argv = web?.argv ?? []): Promise<string> => {
    let output = ''
    const stdout = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        output += chunk.toString()
        done()
      },
    })
    const [path = '', ...args] = argv
    const env = [...(documentsOf(image).config.config?.Env ?? []), `PORT=${web?.port}`]
    const options = { path, args, env, user: web?.user ?? 'root', dir: web?.dir ?? '/' }
    const running = await container.run(options, { stdout })
    await running.wait()
    return output
  }
  try {
    return await use({ ip: (await container.info()).containerIp, run })
  } finally {
    await rig.backend.destroy(container.handle)
  }
}

describe.skipIf(needs !== null)('the example', () => {
  const files = exampleFiles('dockerfile')
  let first: Pushed

  beforeAll(async () => {
    if (needs === null) first = await build(files)
  })

  it('is built step by step on the stack that is there anyway', async () => {
    const { record, builder, image } = succeeded(first)
    expect(builder).toBe('dockerfile')
    expect(first.log).toMatch(/^ {7}STEP 1\/8: FROM croft\/debian-12$/m)
    expect(first.log).toMatch(/^ {7}hello\.pl syntax OK$/m)
    expect(first.log).toMatch(
      /^-----> Exporting image sha256:[0-9a-f]{4}\.\.\. \(\d new layers, [\d.]+ kB\) +\d+\.\d s$/m,
    )
    expect(first.log).toMatch(/^[\n -~]*$/)
    const base = await rig.ports.bases.current('debian-12')
    expect(documentsOf(image).layers[0]).toBe(base.descriptor.digest)
    expect(record?.layers.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['stack debian-12', expect.stringContaining('COPY file'), 'RUN perl -c hello.pl']),
    )
  })

  it('answers on the port it exposes, by its own user', async () => {
    const { image } = succeeded(first)
    expect(processesOf(documentsOf(image).config, { nodeArch: process.arch }).processTypes['web']).toMatchObject({
      command: 'perl hello.pl',
      user: 'croft',
      dir: '/srv',
      port: 3000,
    })
    await inside(image, async ({ ip, run }) => {
      void run()
      const page = await waitFor(async () => (await fetch(`http://${ip}:3000/`)).text(), {
        what: 'the server to answer',
        timeoutMs: 10_000,
      })
      expect(page).toBe('Hello from a Dockerfile on Croft, since 1970\n')
      expect(await run(['/usr/bin/id', '-un'])).toBe('croft\n')
    })
  })

  it('changed in one file, runs only what comes after it and ships one small layer', async () => {
    rig.registry.uploads.length = 0
    const changed = { ...files, 'hello.pl': `${files['hello.pl']}# changed\n` }
    const second = await build(changed, { previousImage: succeeded(first).image })
    expect(second.log).toMatch(
      /STEP 3\/8: RUN date.*\n {7}as before\n {7}STEP 4\/8: COPY hello\.pl \.\n(?! {7}as before)/,
    )
    expect(succeeded(second)).toMatchObject({ newLayers: 1 })
    expect(succeeded(second).newBytes).toBeLessThan(5_000)
    expect(rig.registry.uploads).toHaveLength(2) // the layer and the image's configuration
  })

  it('is the same image for another app, which sees nothing of the first one’s layers', async () => {
    const again = await build(files, { appId: app(1) })
    expect(again.log).not.toContain('as before')
    expect(succeeded(again).image).toBe(succeeded(first).image)
  })
})

describe.skipIf(needs !== null)('a Dockerfile', () => {
  it('of several stages leaves what it does not copy behind, and hides what it removes', async () => {
    const Dockerfile = `${BASE}RUN mkdir -p /a/old /a/keep && touch /a/old/1 /a/keep/2 /big
FROM croft/debian-12
COPY --from=0 /a /a
RUN rm -rf /a/old && mkdir /a/old && touch /a/old/3 && rm /etc/issue
CMD ["ls", "-d", "/a/keep/2", "/a/old/1", "/a/old/3", "/big", "/etc/issue"]
`
    const { image } = succeeded(await build({ Dockerfile }))
    expect(await inside(image, ({ run }) => run())).toBe('/a/keep/2\n/a/old/3\n')
  })

  it('from scratch is an image of what it copies and nothing else', async () => {
    const { image } = succeeded(
      await build({ Dockerfile: 'FROM scratch\nCOPY a.txt /\nCMD ["/a.txt"]\n', 'a.txt': 'x' }),
    )
    const { layers } = documentsOf(image)
    expect(layers).toHaveLength(1)
    expect(await namesIn(rig.registry.blobs.get(layers[0] ?? '') ?? Buffer.alloc(0))).toEqual(['a.txt'])
  })

  it('builds on an image that the platform brings, and is told which line names one that it cannot', async () => {
    const made = succeeded(await build({ Dockerfile: `${BASE}RUN echo from below >/below\n` }, { appId: app(2) })).image
    const asked: string[] = []
    const image: BuildOptions['image'] = (_id, reference) => {
      asked.push(reference)
      return Promise.resolve(
        reference === 'localhost:8080/below:v3'
          ? { image: made as never }
          : { refusal: { title: `${reference} was not pulled: nobody answers`, suggestion: 'check the name' } },
      )
    }
    const Dockerfile = 'FROM localhost:8080/below:v3\nCMD ["cat", "/below"]\n'
    const built = succeeded(await build({ Dockerfile }, { appId: app(3), image }))
    expect(await inside(built.image, ({ run }) => run())).toBe('from below\n')
    expect(built.record?.layers.map(({ name }) => name)).toEqual(
      documentsOf(built.image).layers.map(() => 'localhost:8080/below:v3'),
    )
    const refused = failed(await build({ Dockerfile: `\n${BASE}COPY --from=nginx:1 / /x\n` }, { image }))
    expect(refused).toMatchObject({
      reason: 'source',
      message: 'Dockerfile line 3: nginx:1 was not pulled: nobody answers',
      suggestion: 'check the name',
    })
    expect(failed(await build({ Dockerfile: 'FROM croft/debian-9\n' })).message).toContain(
      'Dockerfile line 1: Croft has no such image',
    )
    expect(asked).toEqual(['localhost:8080/below:v3', 'nginx:1'])
  })

  it.each<[string, string, RegExp]>([
    [
      'a command that fails',
      `${BASE}\nRUN true\nRUN echo working; echo 'no such luck' >&2; exit 7\n`,
      /^Dockerfile line 4: RUN .* ended with exit code 7: no such luck$/,
    ],
    [
      'a file that is not there',
      `${BASE}COPY nosuch /\n`,
      /^Dockerfile line 2: COPY nosuch \/: .*nosuch.*no such file/,
    ],
    ...(isLong ? [COMMAND_NOT_THERE] : []),
  ])('with %s is refused with the line and the reason', async (_what, Dockerfile, message) => {
    const refused = await build({ Dockerfile })
    expect(failed(refused)).toMatchObject({ reason: 'source', message: expect.stringMatching(message) as string })
    expect(await rig.backend.containers()).toEqual([])
  })

  it('has secrets only while a command mounts them', async () => {
    const canary = `canary-${'5ecret'.repeat(4)}`
    const Dockerfile = `${BASE}RUN --mount=type=secret,id=TOKEN wc -c </run/secrets/TOKEN && ! env | grep -q canary\nCMD ["true"]\n`
    const appId = app(4)
    const built = await build({ Dockerfile }, { appId, change: { env: { TOKEN: canary, OTHER: canary } } })
    const { image } = succeeded(built)
    expect(built.log).toMatch(new RegExp(`^ {7}${canary.length}$`, 'm'))
    const { layers, config } = documentsOf(image)
    const texts = [
      built.log,
      JSON.stringify(config),
      ...layers.slice(1).map((one) => rig.registry.blobs.get(one)?.toString('latin1')),
    ]
    expect(texts.filter((text) => text?.includes(canary))).toEqual([])
    const kept = join(rig.ports.paths.caches, appId, 'dockerfile')
    const found = readdirSync(kept, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .filter((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1').includes(canary))
    expect(found.map(({ name }) => name)).toEqual([])
  })

  it('runs as root of its own user namespace: it owns files, and has no say in mounts, processes and the network', async () => {
    const Dockerfile = `${BASE}RUN touch /x && chown 33:33 /x && stat -c %u:%g /x && su croft -s /bin/sh -c 'id -un'
RUN grep CapBnd /proc/self/status && ! mount -t tmpfs none /mnt 2>/dev/null && echo contained
`
    const { log } = await build({ Dockerfile })
    expect(log).toMatch(/^ {7}33:33$/m)
    expect(log).toMatch(/^ {7}croft$/m)
    expect(log).toMatch(/^ {7}contained$/m)
    const bounding = BigInt(`0x${/^ {7}CapBnd:\s+([0-9a-f]{16})$/m.exec(log)?.[1]}`)
    const [netAdmin, sysPtrace, sysAdmin] = [12n, 19n, 21n]
    expect([netAdmin, sysPtrace, sysAdmin].filter((number) => (bounding >> number) & 1n)).toEqual([])
  })

  it.each<[string, string, RegExp, BuildOptions['change']]>([
    ['never ends', `${BASE}RUN while :; do sleep 1; done\n`, /took longer than/, { timeoutMs: 2_000 }],
    ...(isLong
      ? ([
          [
            'takes all memory',
            `${BASE}RUN perl -e 'my @a; push @a, "x" x 1e7 while 1'\n`,
            /needed more than its 0\.3 GiB of memory/,
            { limits: { ...limits(), memoryBytes: 320 * 1024 ** 2 } },
          ],
          [
            'takes all disk',
            `${BASE}RUN head -c 3G /dev/zero >/x; sleep 60\n`,
            /wrote more than its 1 GiB of disk/,
            { limits: { ...limits(), diskBytes: 1024 ** 3 } },
          ],
          [
            'forks for ever',
            `${BASE}RUN perl -e 'fork // select(undef, undef, undef, 0.1) while 1'\n`,
            /needed more than its 128 processes/,
            { limits: { ...limits(), pids: 128 } },
          ],
        ] satisfies [string, string, RegExp, BuildOptions['change']][])
      : []),
  ])('that %s is stopped and told which limit', async (_what, Dockerfile, message, change) => {
    const stopped = await build({ Dockerfile }, { appId: app(5), change: { ...change } })
    expect(failed(stopped).message).toMatch(message)
    expect(await rig.backend.containers()).toEqual([])
  })

  it('is canceled while a command runs', async () => {
    const cancel = new AbortController()
    const onLog = (log: string): void => {
      if (log.includes('STEP 2/2')) cancel.abort(new Error('canceled'))
    }
    const canceled = await build(
      { Dockerfile: `${BASE}RUN sleep 100\n` },
      { appId: app(6), signal: cancel.signal, onLog },
    )
    expect(failed(canceled).reason).toBe('interrupted')
    expect(canceled.tookMs).toBeLessThan(20_000)
    expect(await rig.backend.containers()).toEqual([])
  })
})

describe.skipIf(needs !== null || !isLong)('a Dockerfile on a stack', () => {
  it.each(['debian-11', 'debian-12', 'debian-13'])(
    'installs packages of Debian on %s',
    async (stack) => {
      const Dockerfile = `FROM croft/${stack}
RUN apt-get update && apt-get install -y --no-install-recommends hello && rm -rf /var/lib/apt/lists/*
CMD ["hello"]
`
      const { image } = succeeded(await build({ Dockerfile }, { appId: app(7), change: { timeoutMs: 600_000 } }))
      expect(await inside(image, ({ run }) => run())).toBe('Hello, world!\n')
      expect(
        await inside(image, ({ run }) =>
          run(['/usr/bin/find', '/etc/apt', '-name', '*.sources', '-o', '-name', 'apt.conf']),
        ),
      ).toBe('')
    },
    700_000,
  )
})

function limits() {
  return { memoryBytes: 2 * 1024 ** 3, cpuShares: 1000, cpuQuotaMillis: null, pids: 512, diskBytes: 4 * 1024 ** 3 }
}
