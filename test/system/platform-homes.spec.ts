import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { waitFor } from '@croft/kit'
import { afterAll, describe, expect, it } from 'vitest'
import { PivotedRoot } from './support/pivoted-root.js'
import { command, Platform, webApp } from './support/platform.js'

/** Two homes on one host, the death of everything at once, and the end. */

const one = Platform.at('one')
const two = Platform.at('two')

afterAll(async () => {
  for (const platform of [one, two]) {
    await platform.down()
    platform.remove()
  }
})

/** What the kernel still has of a home's index. */
async function kernelTraces(k: string): Promise<string[]> {
  const links = (await command('ip', ['-o', 'link', 'show'])).stdout
    .split('\n')
    .filter((line) => line.includes(` c${k}-`))
  const tables = (await command('nft', ['list', 'tables'])).stdout
    .split('\n')
    .filter((line) => line.endsWith(` croft_${k}`))
  return [...links, ...tables, ...globSync(`/sys/fs/cgroup/{*/,}croft/${k}`)]
}

/** What of a home's index is left on this host. */
async function traces(k: string): Promise<string[]> {
  const processes = readdirSync('/proc').filter(
    (pid) => /^\d+$/.test(pid) && commandLineOf(pid).includes(`/croft-test-`),
  )
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes('/croft-test-'))
  return [
    ...(await kernelTraces(k)),
    ...processes.map((pid) => `${pid} ${commandLineOf(pid)}`),
    ...mounts,
    ...(existsSync(`/run/croft/${k}`) ? [`/run/croft/${k}`] : []),
  ]
}

function commandLineOf(pid: string): string {
  try {
    const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
    return text.includes('watchdog.mjs') || text.includes('vitest') ? '' : text
  } catch {
    return ''
  }
}

const isLong = process.env['CROFT_TEST_LONG'] !== undefined
/** The example is what up-foreground.spec.ts looks at. */
const up = (platform: Platform): Promise<unknown> => platform.up(...(isLong ? [] : ['--no-example']))

const indexOf = (platform: Platform): string => readFileSync(`${platform.folder}/k`, 'utf8').split(/\s/)[0] ?? ''

describe('two homes on one host', () => {
  it('run side by side: the same app name on both, each with its own answer', async () => {
    await Promise.all([up(one), two.up('--no-example')])
    expect(indexOf(one)).not.toBe(indexOf(two))
    if (isLong) expect((await one.get('node-hello')).status).toBe(200)
    const push = async (platform: Platform): Promise<void> => {
      const app = await platform.repository('same', webApp(platform.home))
      const pushed = await app.push()
      expect(pushed.code, pushed.output).toBe(0)
    }
    await Promise.all([one, two].map(push))
    expect((await one.get('same')).body).toBe(one.home)
    expect((await two.get('same')).body).toBe(two.home)
  }, 300_000)

  it('the end of one leaves the other serving, and leaves nothing of itself', async () => {
    const k = indexOf(two)
    const down = await two.down()
    expect(down.code, down.output).toBe(0)
    expect((await traces(k)).filter((line) => !line.includes(one.home))).toEqual([])
    expect((await one.get('same')).body).toBe(one.home)
  })
})

describe('two homes under the same path, one in a root of its own', () => {
  let root: PivotedRoot | undefined
  let inner: Platform | undefined
  afterAll(async () => {
    await inner?.down()
    root?.remove()
  })

  it.runIf(isLong)(
    'run side by side, and the end of either leaves the other serving and nothing of itself',
    async () => {
      root = await PivotedRoot.make(one.home)
      inner = Platform.within(root, one.home)
      await inner.up('--no-example')
      const indexes = { one: indexOf(one), inner: indexOf(inner) }
      expect(indexes.inner).not.toBe(indexes.one)
      const app = await inner.repository('same', webApp('inner'))
      const pushed = await app.push()
      expect(pushed.code, pushed.output).toBe(0)
      expect((await inner.get('same')).body).toBe('inner')
      expect((await one.get('same')).body).toBe(one.home)

      expect((await one.down()).code).toBe(0)
      expect(await kernelTraces(indexes.one)).toEqual([])
      expect((await inner.get('same')).body).toBe('inner')
      expect((await inner.status()).ready).toBe(true)
      await one.up('--no-example')
      await one.serves('same', one.home)
      expect(indexOf(one)).not.toBe(indexes.inner)

      expect((await inner.down()).code).toBe(0)
      expect(await kernelTraces(indexes.inner)).toEqual([])
      expect((await one.get('same')).body).toBe(one.home)
      expect((await one.status()).ready).toBe(true)
    },
  )
})

describe('kill -9 of every process of a platform at once', () => {
  it('up is back with the same apps and without a rebuild', async () => {
    const builds = (await one.json<unknown[]>('builds', '-a', 'same')).length
    const status = await one.status()
    const supervisor = (
      JSON.parse(readFileSync(`/run/croft/${indexOf(one)}/supervisor.json`, 'utf8')) as { supervisor: { pid: number } }
    ).supervisor.pid
    for (const pid of [supervisor, ...status.components.map((component) => component.pid ?? 0)])
      if (pid > 0) process.kill(pid, 'SIGKILL')
    await up(one)
    await one.serves('same', one.home)
    expect((await one.json<unknown[]>('builds', '-a', 'same')).length).toBe(builds)
    expect((await one.releases('same')).length).toBe(1)
  }, 180_000)
})

describe('down', () => {
  it('without a terminal and without --yes stops nothing, names the apps and exits 1', async () => {
    const refused = await command('./croft', ['down', '--home', one.home])
    expect(refused.code).toBe(1)
    expect(refused.output).toContain('same')
    expect((await one.get('same')).status).toBe(200)
  })

  it('leaves no process, mount, cgroup, interface or rule behind, also when nobody reads what it says', async () => {
    const k = indexOf(one)
    await command('sh', ['-c', './croft down --yes --home "$0" | true', one.home])
    await waitFor(async () => (await traces(k)).length === 0, {
      what: `nothing of home ${k} to be left`,
      timeoutMs: 10_000,
    }).catch(async () => {
      expect(await traces(k)).toEqual([])
    })
  })

  it('keeps the data: the next up serves the same apps again', async () => {
    await up(one)
    await one.serves('same', one.home, 20_000)
  }, 180_000)
})
