import { describe, expect, it } from 'vitest'
import type { Buildpack } from './buildpack.js'
import { detect, type DetectResult } from './detect.js'
import type { LifecycleError } from './errors.js'
import { parseBuildpackToml } from './formats/buildpack-toml.js'
import type { Order } from './formats/order-toml.js'

/** A buildpack, `more` being lines of its buildpack.toml. */
const buildpack = (id: string, more = '', api = '0.12'): Buildpack => ({
  id,
  version: '1',
  api,
  name: id.toUpperCase(),
  directory: `/cnb/buildpacks/${id}`,
  toml: parseBuildpackToml(`api = "${api}"\n[buildpack]\nid = "${id}"\nversion = "1"\n${more}`, id),
})
const looksFor = (id: string): string => `[metadata.croft]\nlooks-for = "${id}.json"\n`
const order = (...groups: string[]): Order =>
  groups.map((text) => ({
    group: text
      .split(' ')
      .map((word) => ({ id: word.replace('?', ''), ...(word.endsWith('?') && { optional: true }) })),
  }))
const target = { os: 'linux', arch: 'amd64', distroName: 'debian', distroVersion: '12' }

interface Case {
  order: Order
  buildpacks?: Buildpack[]
  /** `bin/detect` by id: the plan it writes, or its exit code with what it says. */
  does?: Record<string, string | [exitCode: number, output?: string]>
  execEnv?: string
}
async function detected({ order, buildpacks, does = {}, execEnv = 'production' }: Case) {
  const ran: string[] = []
  const run = ({ id }: Buildpack): Promise<DetectResult> => {
    ran.push(id)
    const what = does[id] ?? ''
    return Promise.resolve(
      typeof what === 'string'
        ? { exitCode: 0, output: '', plan: what }
        : { exitCode: what[0], output: what[1] ?? '', plan: '' },
    )
  }
  const all = buildpacks ?? ['a', 'b', 'c', 'd'].map((id) => buildpack(id, looksFor(id)))
  try {
    const { group, entries } = await detect({ order, buildpacks: all, target, execEnv }, run)
    return { group: group.map(({ id }) => id).join(' '), ran: ran.toSorted().join(' '), entries }
  } catch (thrown) {
    const { failure, exitCode, title, lines } = thrown as LifecycleError
    return { failure, exitCode, title, lines, ran: ran.toSorted().join(' ') }
  }
}

describe('detecting', () => {
  it.each<[string, Case, { group?: string; ran?: string; exitCode?: number }]>([
    ['takes the first group that passes', { order: order('a', 'b') }, { group: 'a', ran: 'a' }],
    [
      'asks each buildpack once, all of a group',
      { order: order('a b', 'b c?'), does: { a: [100] } },
      { group: 'b c', ran: 'a b c' },
    ],
    ['leaves out an optional one that does not match', { order: order('a b?'), does: { b: [100] } }, { group: 'a' }],
    ['leaves out an optional one that broke', { order: order('a b?'), does: { b: [3] } }, { group: 'a' }],
    [
      'fails for a group without anything that matches',
      { order: order('a? b?'), does: { a: [100], b: [100] } },
      { exitCode: 20 },
    ],
    ['fails for an empty group', { order: [{ group: [] }] }, { exitCode: 20, ran: '' }],
    ['fails for an empty order', { order: [] }, { exitCode: 20, ran: '' }],
    ['fails when all fail', { order: order('a', 'b'), does: { a: [100], b: [100] } }, { exitCode: 20 }],
    [
      'fails with another code when one of a failed group broke',
      { order: order('a b'), does: { b: [127] } },
      { exitCode: 21 },
    ],
    [
      'and also when an optional one of it did',
      { order: order('a b?'), does: { a: [100], b: [127] } },
      { exitCode: 21 },
    ],
    ['goes on behind a group that broke', { order: order('a', 'b'), does: { a: [127] } }, { group: 'b' }],
    ['counts a plan that is no TOML as broken', { order: order('a'), does: { a: '[[provides' } }, { exitCode: 21 }],
    [
      'counts a version at the top of a require as broken',
      { order: order('a'), does: { a: '[[requires]]\nname="x"\nversion="1"\n' } },
      { exitCode: 21 },
    ],
    [
      'and in an alternative too, with another one in the metadata',
      {
        order: order('a'),
        does: { a: '[[or]]\n[[or.requires]]\nname="x"\nversion="1"\n[or.requires.metadata]\nversion="1"\n' },
      },
      { exitCode: 21 },
    ],
    [
      'goes on when the plan of a group does not resolve',
      { order: order('a', 'b'), does: { a: '[[requires]]\nname="x"\n' } },
      { group: 'b' },
    ],
    [
      'counts a plan that does not resolve as no match, whoever broke beside it',
      { order: order('a b?'), does: { a: '[[requires]]\nname="x"\n', b: [3] } },
      { exitCode: 20 },
    ],
  ])('%s', async (_rule, input, expected) => {
    expect(await detected(input)).toMatchObject(expected)
  })

  /** Detects of three groups, where `node` goes along with each and ends when it is told to. */
  function withSlowNode(end: Promise<DetectResult>) {
    const ran: string[] = []
    const run = async ({ id }: Buildpack): Promise<DetectResult> => {
      ran.push(id)
      return id === 'node' ? await end : { exitCode: id === 'python' ? 0 : 100, output: '', plan: '' }
    }
    const buildpacks = ['node', 'php', 'ruby', 'python'].map((id) => buildpack(id))
    const input = { order: order('node? php', 'node? ruby', 'node? python'), buildpacks, target, execEnv: '' }
    return { ran, detecting: detect(input, run) }
  }

  it('does not wait for the others of a group of which one that it takes does not match', async () => {
    const node = Promise.withResolvers<DetectResult>()
    const { ran, detecting } = withSlowNode(node.promise)
    await expect.poll(() => ran).toEqual(['node', 'php', 'ruby', 'python'])
    node.resolve({ exitCode: 0, output: '', plan: '' })
    expect((await detecting).group.map(({ id }) => id)).toEqual(['node', 'python'])
  })

  it('ends when all that it began have ended', async () => {
    const a = Promise.withResolvers<DetectResult>()
    const run = ({ id }: Buildpack): Promise<DetectResult> =>
      id === 'a' ? a.promise : Promise.resolve({ exitCode: id === 'b' ? 100 : 0, output: '', plan: '' })
    let hasEnded = false
    const detecting = detect(
      { order: order('a? b', 'c'), buildpacks: ['a', 'b', 'c'].map((id) => buildpack(id)), target, execEnv: '' },
      run,
    ).finally(() => (hasEnded = true))
    await new Promise((resolve) => setImmediate(resolve))
    expect(hasEnded).toBe(false)
    a.resolve({ exitCode: 100, output: '', plan: '' })
    expect((await detecting).group.map(({ id }) => id)).toEqual(['c'])
  })

  it('fails with what made the run of one impossible, also of one it did not wait for', async () => {
    const { detecting } = withSlowNode(Promise.reject(new Error('the container is gone')))
    await expect(detecting).rejects.toThrow('the container is gone')
  })

  it('takes part only where the buildpack is made for', async () => {
    const arm = buildpack('a', '[[targets]]\narch="arm64"\n')
    expect(await detected({ order: order('a'), buildpacks: [arm] })).toMatchObject({
      exitCode: 21,
      ran: '',
      title: expect.stringContaining('is not made for linux/amd64 debian 12'),
    })
    expect(await detected({ order: order('a?'), buildpacks: [arm] })).toMatchObject({ group: 'a', ran: 'a' })
  })

  it('resolves what a composite stands for', async () => {
    const meta = buildpack('meta', '[[order]]\n[[order.group]]\nid="a"\n[[order]]\n[[order.group]]\nid="b"\n')
    const input = { order: order('meta c'), buildpacks: [meta, buildpack('a'), buildpack('b'), buildpack('c')] }
    expect(await detected({ ...input, does: { a: [100] } })).toMatchObject({ group: 'b c', ran: 'a b c' })
  })

  it.each<[string, string, string, Partial<Awaited<ReturnType<typeof detected>>>]>([
    ['takes one that lists no environment', '', '0.12', { group: 'a b' }],
    ['takes one that lists all', 'exec-env = ["*"]', '0.12', { group: 'a b' }],
    ['takes one that lists this', 'exec-env = ["production", "test"]', '0.12', { group: 'a b' }],
    ['skips one that lists others', 'exec-env = ["production"]', '0.12', { group: 'b', ran: 'b' }],
    ['takes one of an API without the list', 'exec-env = ["production"]', '0.11', { group: 'a b' }],
  ])('for an environment, %s', async (_rule, line, api, expected) => {
    const buildpacks = [buildpack('a', line, api), buildpack('b')]
    expect(await detected({ order: order('a b'), buildpacks, execEnv: 'test' })).toMatchObject(expected)
  })

  it('says of each buildpack why nothing came of it', async () => {
    const result = await detected({
      order: order('a b', 'c', 'd'),
      does: { b: [100], c: [100, 'no Gemfile here\n'], d: [3, 'first\nlast words\n'] },
    })
    expect(result).toMatchObject({
      failure: 'detect-broke',
      title: 'no buildpack matches this app, and d broke: bin/detect failed with exit code 3: last words',
      lines: [
        'a 1: passed, but its group did not',
        'b 1: did not match: there is no b.json',
        'c 1: did not match: no Gemfile here',
        'd 1: bin/detect failed with exit code 3: last words',
      ],
    })
  })

  it('says what was looked for when nothing matches', async () => {
    const result = await detected({ order: order('a', 'b'), does: { a: [100], b: [100] } })
    expect(result).toMatchObject({
      failure: 'no-buildpack',
      title: 'no buildpack matches this app: looked for a.json (A), b.json (B) in its top folder',
    })
  })
})
