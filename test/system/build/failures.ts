import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from '@croft/kit'
import type { BuildSpec } from '@croft/protocol'
import { beforeAll, describe, expect, it } from 'vitest'
import { buildNeeds } from '../support/build-needs.js'
import { failed, type Failed } from '../support/build-results.js'
import type { BuildRig } from '../support/build-rig.js'
import { LIMITS } from './limits.js'
import { expectNothingLeft, packageJson, plain } from './looks.js'

const needs = buildNeeds()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined

/** Two more ways of not ending; the short form has one in a build script that sleeps. */
const ENDLESS: [string, string, RegExp, Partial<BuildSpec>][] = [
  ['computes without end', 'while :; do :; done', /took longer than/, { timeoutMs: 4_000 }],
  ['will not be asked to end', "trap '' TERM INT HUP; while :; do sleep 1; done", /took longer/, { timeoutMs: 4_000 }],
]

/** Builds that fail: what is said, which limit is named, and that nothing stays. */
export function describeFailures(rigOfFile: () => BuildRig): void {
  describe.skipIf(needs !== null)('a build that fails', () => {
    let rig: BuildRig
    beforeAll(() => (rig = rigOfFile()))

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
      [
        'package.json has a mistake',
        { 'package.json': '{"name": ' },
        'buildpack',
        /^package\.json, line 1: not JSON: /,
      ],
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
      await expectNothingLeft(rig)
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
        await expectNothingLeft(rig)
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
      await expectNothingLeft(rig)
    })

    it('is ended when its time is over', async () => {
      const pushed = await rig.build(plain({ build: 'sleep 60' }), { change: { timeoutMs: 4_000 } })
      expect(failed(pushed).reason).toBe('timeout')
      expect(pushed.tookMs).toBeLessThan(8_000)
      await expectNothingLeft(rig)
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
      await expectNothingLeft(rig)
    })

    it.runIf(isLong)('because the registry takes nothing leaves no draft of a layer', async () => {
      const drafts = (): string[] => readdirSync(join(rig.folder, 'layers')).filter((name) => name.startsWith('.new-'))
      rig.registry.isFull = true
      try {
        const files = plain({ build: 'mkdir public && echo full > public/index.html' }, { 'only-here.txt': 'full' })
        expect(failed(await rig.build(files)).reason).toBe('export')
        await waitFor(() => drafts().length === 0, { what: 'the drafts to be gone', timeoutMs: 10_000 })
        await expectNothingLeft(rig)
      } finally {
        rig.registry.isFull = false
      }
    })

    it('is told as a source that did not arrive', async () => {
      const pushed = await rig.build({}, { source: () => Promise.reject(new Error('the controller answered 404')) })
      expect(failed(pushed)).toMatchObject({ reason: 'source', message: expect.stringContaining('answered 404') })
      await expectNothingLeft(rig)
    })
  })
}
