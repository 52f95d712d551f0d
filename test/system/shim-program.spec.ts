import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pack, type Header } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run } from '@croft/kit'
import { runToEnd } from '@croft/garden-api/conformance'
import { image, makeHome, sh } from './support/backend-rig.js'

const isLong = process.env['CROFT_TEST_LONG'] === '1'
const HARNESS = join(import.meta.dirname, '../../libs/backend-linux/native/croft-init.fuzz.c')
const SANITIZERS = [
  '-g',
  '-O1',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=all',
]

/** An archive with something of everything. */
async function seed(): Promise<Buffer> {
  const archive = pack()
  const long = `${'deep/'.repeat(30)}file`
  const entries: [Partial<Header> & { name: string }, string][] = [
    [{ name: 'file', mode: 0o4755, pax: { 'SCHILY.xattr.user.colour': 'blue', comment: 'none' } }, 'x'.repeat(700)],
    [{ name: 'dir', type: 'directory', pax: { 'SCHILY.xattr.user.shape': 'round' } }, ''],
    [{ name: long }, 'far'],
    [{ name: 'link', type: 'symlink', linkname: 'dir' }, ''],
    [{ name: 'link/inside' }, 'through'],
    [{ name: 'hard', type: 'link', linkname: 'file' }, ''],
    [{ name: 'pipe', type: 'fifo' }, ''],
  ]
  for (const [header, data] of entries) archive.entry(header as Header, data)
  archive.finalize()
  const parts: Buffer[] = []
  for await (const part of archive) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

describe('the program that stands for containers', () => {
  let dir: string

  beforeAll(async () => {
    dir = await mkdtemp('/tmp/shim-spec-')
  })
  afterAll(async () => await rm(dir, { recursive: true, force: true }))

  it('takes no wrong step whatever clients, its other half or archives say', { timeout: 600_000 }, async () => {
    const [harness, corpus, work] = ['fuzz', 'corpus', 'work'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ]
    await Promise.all([mkdir(corpus), mkdir(work)])
    await writeFile(join(corpus, 'seed.tar'), await seed())
    await run('gcc', [...SANITIZERS, '-o', harness, HARNESS], { timeoutMs: 60_000 })
    const rounds = isLong ? 20_000 : 300
    const first = isLong ? Date.now() % 1_000_000_000 : 1
    const { stdout } = await run(harness, [String(first), String(rounds), corpus, work], {
      timeoutMs: 500_000,
      env: { ASAN_OPTIONS: 'detect_leaks=0' },
    })
    const [, done, whole] = /^(\d+) rounds, (\d+) archives unpacked whole$/m.exec(stdout.toString()) ?? []
    expect(Number(done)).toBe(rounds)
    expect(Number(whole)).toBeGreaterThan(rounds / 20) // else nothing behind the first checks was tried
    expect(Number(whole)).toBeLessThan(rounds)
  })

  it('takes no more than a megabyte of memory for each of its two halves, after much work too', async () => {
    const home = await makeHome()
    const backend = await home.open()
    try {
      await backend.recover()
      const container = await backend.create({ ...image, handle: 'small' })
      const process = await container.run(sh(`head -c ${50 << 20} /dev/zero; echo done >&2`), {
        stdout: new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void setImmediate(done) }),
      })
      await process.wait()
      for (let i = 0; i < 20; i++) await runToEnd(container, sh('echo hello'))
      const state = JSON.parse(await readFile(join(home.dir, 'containers/small/state.json'), 'utf8')) as Record<
        'shim' | 'init',
        { pid: number }
      >
      for (const half of ['shim', 'init'] as const) {
        const status = await readFile(`/proc/${state[half].pid}/status`, 'utf8')
        expect(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]), half).toBeLessThanOrEqual(1024)
      }
    } finally {
      await backend.close()
      await home.clean()
    }
  })
})
