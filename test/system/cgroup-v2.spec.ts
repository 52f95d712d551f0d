import { existsSync, globSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { buildShim } from '@croft/backend-linux'
import { afterAll, describe, expect, it } from 'vitest'
import { boot } from './support/v2-vm/boot.js'
import { makeVm } from './support/v2-vm/image.js'
import { cachedPackages, fetchPackages } from './support/v2-vm/packages.js'

const repository = join(import.meta.dirname, '../..')
const cache = process.env['CROFT_CACHE'] ?? '/var/cache/croft'
const isLong = process.env['CROFT_TEST_LONG'] === '1'
/* what a run left that was killed */
for (const name of await readdir('/tmp')) {
  const pid = /^v2-vm-(\d+)-/.exec(name)?.[1]
  if (pid !== undefined && !existsSync(`/proc/${pid}`)) await rm(join('/tmp', name), { recursive: true, force: true })
}
const folder = await mkdtemp(`/tmp/v2-vm-${process.pid}-`)
afterAll(async () => await rm(folder, { recursive: true, force: true }))

const packages = (await cachedPackages(cache)) ?? (isLong && process.arch === 'x64' ? await fetchPackages(cache) : null)
const without = packages === null ? ' [needs qemu and a kernel in the cache: run the long form once]' : ''
const withPackages = packages === null ? it.skip : it

const PASS_TIMEOUT_MS = 90_000
const SUITE_TIMEOUT_MS = 30 * 60_000
const GUEST_CONFIG = 'test/system/support/v2-vm/guest.config.ts'
const SUITE = ['test/system/container-api.spec.ts', 'test/system/container-limits.spec.ts']
const MIB = 1024 * 1024

describe('a host with version 2 of cgroups only', () => {
  withPackages(
    `makes a container, runs in it, kills it and a sidecar for memory, freezes, changes limits and destroys${without}`,
    async () => {
      if (packages === null) throw new Error('skipped')
      const bundle = join(folder, 'pass.mjs')
      await build({
        bundle: true,
        platform: 'node',
        format: 'esm',
        // packages that are CommonJS ask for `require`
        banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
        conditions: ['croft-src'],
        entryPoints: [join(import.meta.dirname, 'support/v2-vm/guest-pass.ts')],
        outfile: bundle,
        absWorkingDir: repository,
      })
      const shim = await buildShim({ cacheDir: folder })
      const files = await makeVm(packages, repository, folder, {
        command: ['node', 'pass.mjs'],
        shim,
        files: [],
        copies: { 'pass.mjs': bundle },
      })
      const { console, exitCode } = await boot(packages, files, { timeoutMs: PASS_TIMEOUT_MS })
      const result = /^RESULT (.*)$/m.exec(console)?.[1]
      expect(exitCode, console).toBe(0)
      expect(JSON.parse(result ?? 'null')).toMatchObject({
        capabilities: { cgroupVersion: 2, hasFreezer: true, hasLiveLimits: true },
        ran: { exitCode: 7, isOutOfMemory: false },
        killed: { exitCode: 137, isOutOfMemory: true },
        pea: { exitCode: 137, isOutOfMemory: true },
        shot: { exitCode: 137, isOutOfMemory: false },
        isRefused: true,
        isStill: true,
        limits: { memory: 96 * MIB, pids: { max: null } },
        left: ['_shims'],
        hasVersion1: false,
      })
    },
    2 * PASS_TIMEOUT_MS,
  )
  const inLongForm = isLong ? withPackages : it.skip
  inLongForm(
    `passes the whole conformance suite${isLong ? without : ' [long form]'}`,
    async () => {
      if (packages === null) throw new Error('skipped')
      const files = await makeVm(packages, repository, folder, {
        command: ['node', 'node_modules/vitest/vitest.mjs', 'run', '--config', GUEST_CONFIG, ...SUITE],
        shim: await buildShim({ cacheDir: folder }),
        files: ['node_modules', 'libs', 'test', 'package.json', 'tsconfig.base.json'],
        // the whole one names folders that do not come along
        copies: { 'tsconfig.json': join(repository, 'tsconfig.base.json') },
        native: globSync('node_modules/@rolldown/binding-linux-*/*.node', { cwd: repository }).map((file) =>
          join(repository, file),
        ),
        env: { CROFT_TEST_SHIM: '/usr/bin/croft-init', CROFT_TEST_ROOT: '/fixture', NO_COLOR: '1' },
      })
      const { console, exitCode } = await boot(packages, files, { timeoutMs: SUITE_TIMEOUT_MS })
      expect(exitCode, console).toBe(0)
      expect(/Tests .*\b(\d+) passed/.exec(console)?.[1], console).toBeDefined()
      expect(console).not.toMatch(/Tests .*failed/)
    },
    SUITE_TIMEOUT_MS + 60_000,
  )
})
