import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '@croft/kit'
import type { BuildResult } from '@croft/protocol'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { command, leave, PushRig, type Clone } from './support/push-rig.js'

/** Pushes with a real git to a real controller process; the executor and the router follow a script. */

const isLong = process.env['CROFT_TEST_LONG'] !== undefined

let rig: PushRig
beforeAll(async () => {
  rig = await PushRig.start()
})
afterAll(async () => {
  await rig?.close()
})
afterEach(() => {
  rig.onBuild = () => ({})
  rig.node.behave = () => ({ kind: 'ready' })
})

interface Row {
  version: number
  image: string
  commit: string
}
const releases = (app: string): Promise<Row[]> =>
  rig.query<Row>(
    'SELECT version, image, commit FROM release r JOIN app a ON a.id = r.app_id WHERE a.name = $1 ORDER BY version',
    [app],
  )
const appNames = async (): Promise<string[]> =>
  (await rig.query<{ name: string }>('SELECT name FROM app')).map((row) => row.name)

/** A promise and what resolves it. */
function gate(): { open: () => void; until: Promise<void> } {
  let open = (): void => undefined
  const until = new Promise<void>((resolve) => (open = resolve))
  return { open, until }
}

describe('a push', () => {
  it('makes the app, builds its source, deploys it and only then moves the ref', async () => {
    const shop = await rig.clone('shop', { 'lib/a b.js': 'x', Procfile: 'web: node server.js\n' })
    const pushed = await shop.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.lines).toEqual([
      '-----> Node.js app detected (package.json)',
      '-----> Exporting image',
      '-----> Releasing v1',
      expect.stringMatching(/^-----> Starting web\.1 \.\.\. healthy +\d+\.\d s$/),
      expect.stringMatching(/^=====> Application deployed: v1 in \d+\.\d s {2}http:\/\/shop\.localhost:8080$/),
    ])
    expect(rig.sources.at(-1)?.toSorted()).toEqual(['Procfile', 'lib/a b.js', 'package.json'])
    expect(await rig.head('shop')).toBe((await shop.git('rev-parse', 'HEAD')).output.trim())
    expect(await rig.pushes('shop')).toEqual(['committed'])
    expect(rig.channels).toEqual([])
    expect((await command(['git', `--git-dir=${await rig.repository('shop')}`, 'fsck', '--strict'])).code).toBe(0)
  })
  it('of the same tree reuses the image; -o rebuild builds anew', async () => {
    const app = await rig.clone('same-tree')
    await app.push()
    await app.commit('only words')
    const again = await app.push()
    expect(again.code, again.output).toBe(0)
    expect(again.output).not.toContain('Exporting')
    await app.commit('more words')
    const rebuilt = await app.git('push', '-o', 'rebuild', 'croft', 'main')
    expect(rebuilt.output).toContain('Exporting')
    const changed = await rig.patch('/api/v1/apps/same-tree', { buildpacks: ['croft/node'] })
    expect(JSON.parse(changed.text)).toMatchObject({ settings: { buildpacks: ['croft/node'] } })
    await app.commit('the same with other buildpacks')
    expect((await app.push()).output).toContain('Exporting')
    await app.commit('and with the same ones')
    expect((await app.push()).output).not.toContain('Exporting')
    const rows = await releases('same-tree')
    expect(rows.map((row) => row.version)).toEqual([1, 2, 3, 4, 5])
    expect(new Set(rows.map((row) => row.image)).size).toBe(1)
  })
  it('of an app whose image needs a key gets one, once, and never over one of its own', async () => {
    const image = `sha256:${'b'.repeat(64)}`
    const result = (generatedConfig: string[]): BuildResult => ({
      outcome: 'succeeded',
      image,
      processTypes: { web: { command: 'puma', argv: ['/cnb/process/web'] } },
      newLayers: 1,
      newBytes: 1,
      generatedConfig,
    })
    const values = async (): Promise<Record<string, string>> =>
      (await rig.api<Record<string, string>>('/api/v1/apps/keyed/config/values')).body
    rig.onBuild = () => ({ result: result(['SECRET_KEY_BASE', 'PORT']) })
    const app = await rig.clone('keyed')
    expect((await app.push()).code).toBe(0)
    const first = await values()
    expect(first).toEqual({ SECRET_KEY_BASE: expect.stringMatching(/^[0-9a-f]{64}$/) })

    rig.onBuild = () => ({ result: result(['SECRET_KEY_BASE', 'SECOND_KEY']) })
    app.write({ 'server.js': 'changed' })
    await app.commit('change')
    expect((await app.push()).code).toBe(0)
    expect(await values()).toEqual({ ...first, SECOND_KEY: expect.stringMatching(/^[0-9a-f]{64}$/) })
  })
  it('can be cloned and fetched, and a clone has the branch that runs', async () => {
    const app = await rig.clone('cloned', { 'server.js': 'served' })
    await app.push('main:master')
    const into = mkdtempSync(join(rig.folder, 'work/into-'))
    const cloned = await command(['git', 'clone', '-q', rig.url('cloned'), into])
    expect(cloned.code, cloned.output).toBe(0)
    expect(readdirSync(into)).toContain('server.js')
    expect((await app.git('fetch', '-q', 'croft')).code).toBe(0)
  })
  it('leaves out of the source what .croftignore names', async () => {
    const app = await rig.clone('ignoring', {
      '.croftignore': 'docs/\n*.md\n',
      'docs/a.txt': 'x',
      'README.md': 'x',
      'server.js': 'x',
    })
    expect((await app.push()).code).toBe(0)
    expect(rig.sources.at(-1)?.toSorted()).toEqual(['.croftignore', 'package.json', 'server.js'])
  })
  it('leaves out what project.toml does not include', async () => {
    const app = await rig.clone('including', {
      'project.toml': '[_]\nschema-version = "0.2"\n[io.buildpacks]\ninclude = ["src/", "package.json"]\n',
      'src/a.js': 'x',
      'docs/a.txt': 'x',
    })
    expect((await app.push()).code).toBe(0)
    expect(rig.sources.at(-1)?.toSorted()).toEqual(['package.json', 'src/a.js'])
  })
  it('says something within a second while a build says nothing, and its text is plain', async () => {
    const slow = gate()
    rig.onBuild = () => ({ lines: ['\u001b]0;owned\u0007gr\u00fcn\u001b[2J'], until: slow.until })
    const app = await rig.clone('quiet')
    const pushing = app.startPush('main')
    let output = ''
    pushing.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await waitFor(() => output.includes('remote: '), { what: 'a first line', timeoutMs: 1_500 })
    slow.open()
    await waitFor(() => pushing.exitCode !== null, { what: 'the push', timeoutMs: 20_000 })
    expect(pushing.exitCode, output).toBe(0)
    expect(output).toContain('gr?n')
    expect(output.replace(/\u001b\[K/g, '')).toMatch(/^[\x20-\x7e\n\r]*$/)
  })
})

describe('a push that is refused before anything is built', () => {
  it('without or with a wrong token is 401 with a hint, and makes no app', async () => {
    const app = await rig.clone('no-token')
    for (const token of ['wrong', '']) {
      await app.git('remote', 'set-url', 'croft', rig.url('no-token', token))
      const pushed = await app.push()
      expect(pushed.code).not.toBe(0)
      expect(pushed.output).toMatch(/Authentication failed|could not read|token/)
    }
    expect(await appNames()).not.toContain('no-token')
  })
  it('makes no app either: ls-remote, a dry run, and a name that cannot be', async () => {
    const app = await rig.clone('never')
    expect((await app.git('ls-remote', 'croft')).code).not.toBe(0)
    expect((await app.git('push', '--dry-run', 'croft', 'main')).code).toBe(0)
    expect((await app.push('feature')).code).not.toBe(0)
    await app.git('remote', 'set-url', 'croft', rig.url('registry'))
    const reserved = await app.push()
    expect(reserved.code).not.toBe(0)
    expect(reserved.output).toMatch(/not available/)
    expect(await appNames()).not.toContain('never')
  })
  it('answers for another team’s app as for one that is not there', async () => {
    const app = await rig.clone('theirs')
    expect((await app.push()).code).toBe(0)
    const [team] = await rig.query<{ id: string }>(`INSERT INTO team (name) VALUES ('others') RETURNING id`)
    await rig.query(`UPDATE app SET team_id = $1 WHERE name = 'theirs'`, [team?.id])
    const theirs = await app.git('ls-remote', 'croft')
    await app.git('remote', 'set-url', 'croft', rig.url('missing'))
    const missing = await app.git('ls-remote', 'croft')
    const plain = (text: string): string =>
      text
        .replaceAll('theirs', 'X')
        .replaceAll('missing', 'X')
        .replace(/request \w+/g, '')
    expect(plain(theirs.output)).toBe(plain(missing.output))
    await app.git('remote', 'set-url', 'croft', rig.url('theirs'))
    await app.change()
    expect((await app.push()).output).toMatch(/not available/)
  })
  it('names other branches, tags and deletions, and deploys main beside them', async () => {
    const app = await rig.clone('refs')
    await app.git('branch', 'feature-x')
    await app.git('tag', 'v1')
    const branch = await app.push('feature-x')
    expect(branch.code).not.toBe(0)
    expect(branch.output).toContain('git push croft feature-x:main')
    expect((await app.push('v1')).output).toMatch(/tag v1 does not deploy/)
    const all = await app.git('push', '--all', 'croft')
    expect(all.code).not.toBe(0)
    expect(all.output).toMatch(/\[new branch\] +main -> main/)
    expect(all.output).toMatch(/\[remote rejected\] feature-x -> feature-x \(ref-not-deployed\)/)
    await app.change()
    const mirror = await app.git('push', '--mirror', 'croft')
    expect(mirror.code).not.toBe(0)
    expect(mirror.output).toMatch(/main -> main\n/)
    const deletion = await app.push(':main')
    expect(deletion.output).toMatch(/cannot be deleted/)
    expect(await rig.head('refs')).toBeDefined()
    expect((await releases('refs')).length).toBe(2)
  })
  it.each(['--upload-pack=x', '$(id)', ';id', '`id`', '<script>', 'a\u202eb', 'x'.repeat(230)])(
    'takes the ref name %s for a name',
    async (name) => {
      const app = await rig.clone('hostile-refs')
      const pushed = await app.push(`HEAD:refs/heads/${name}`)
      expect(pushed.code).not.toBe(0)
      expect(pushed.output).toMatch(/does not deploy/)
      expect(pushed.lines.every((line) => /^[\x20-\x7e]*$/.test(line))).toBe(true)
    },
  )
  it('refuses an option that does not exist, and names those that do', async () => {
    const app = await rig.clone('options')
    const pushed = await app.git('push', '-o', 'skip-ci', 'croft', 'main')
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toMatch(/skip-ci.*does not exist[\s\S]*-o rebuild/)
  })
  it('names the line of a wrong Procfile, a wrong app.json, and a Procfile that is a link', async () => {
    const app = await rig.clone('files', { Procfile: 'web: a\nthis is not a process\n' })
    expect((await app.push()).output).toMatch(/Procfile line 2: .*colon/)
    app.write({ Procfile: 'web: a\n', 'app.json': '{"formation": {"web": {"quantity": -1}}}' })
    await app.commit('json')
    expect((await app.push()).output).toMatch(/app\.json: formation\.web\.quantity/)
    await app.git('rm', '-q', '--cached', 'Procfile', 'app.json')
    const link = await rig.clone('files')
    symlinkSync('/etc/shadow', join(link.folder, 'Procfile'))
    await link.commit('link')
    expect((await link.push()).output).toMatch(/Procfile is not a regular file/)
    expect(await rig.pushes('files')).toEqual([])
  })
  it('names the line and the rule of a wrong project.toml or .buildpacks', async () => {
    const both = '[_]\nschema-version = "0.2"\n[io.buildpacks]\ninclude = ["a"]\nexclude = ["b"]\n'
    const app = await rig.clone('wishes', { 'project.toml': both })
    expect((await app.push()).output).toMatch(/project\.toml, line 3: .*include and exclude exclude each other/)
    app.write({ 'project.toml': '', '.buildpacks': 'croft/node\nfile:///etc\n' })
    await app.commit('buildpacks')
    expect((await app.push()).output).toMatch(/\.buildpacks, line 2: not a buildpack: file:\/\/\/etc/)
    expect(await rig.pushes('wishes')).toEqual([])
  })
  it('names submodules and LFS pointers, unless they are ignored', async () => {
    const app = await rig.clone('modules', { '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n' })
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`
    await app.git('-c', 'core.attributesFile=/dev/null', 'add', '-A')
    const blob = (await command(['git', 'hash-object', '-w', '--stdin'], app.folder, pointer)).output.trim()
    await app.git('update-index', '--add', '--cacheinfo', `100644,${blob},big.bin`)
    await app.git('commit', '-qm', 'lfs')
    expect((await app.push()).output).toMatch(/Git LFS pointers.*big\.bin/)
    await app.git('rm', '-q', '--cached', 'big.bin')
    await app.git('update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},libs/x`)
    await app.git('commit', '-qm', 'submodule')
    expect((await app.push()).output).toMatch(/submodules are not fetched: libs\/x/)
    writeFileSync(join(app.folder, '.croftignore'), 'libs/x\n')
    await app.git('add', '.croftignore')
    await app.git('commit', '-qm', 'ignored')
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
  })
  it('says that a commit without files is empty', async () => {
    const app = await rig.clone('empty')
    const tree = (await command(['git', 'mktree'], app.folder, '')).output.trim()
    const commit = (await app.git('commit-tree', tree, '-m', 'empty')).output.trim()
    expect((await app.push(`${commit}:refs/heads/main`)).output).toMatch(/holds no files/)
  })
  it.each(['files', 'empty folders'])('ends a bomb of %s in under a second of work', async (kind) => {
    const app = await rig.clone('bomb')
    const hash = async (args: string[], input: string): Promise<string> =>
      (await command(['git', ...args], app.folder, input)).output.trim()
    let entry =
      kind === 'files'
        ? `100644 blob ${await hash(['hash-object', '-w', '--stdin'], 'boom')}`
        : `040000 tree ${await hash(['mktree'], '')}`
    for (let level = 0; level < 10; level += 1) {
      const lines = Array.from({ length: 10 }, (_, index) => `${entry}\tf${index}`).join('\n')
      entry = `040000 tree ${await hash(['mktree'], `${lines}\n`)}`
    }
    const commit = (await app.git('commit-tree', entry.split(' ')[2] ?? '', '-m', 'bomb')).output.trim()
    const started = performance.now()
    const pushed = await app.push(`${commit}:refs/heads/main`)
    expect(pushed.output).toMatch(/more than 200000 files and folders/)
    expect(performance.now() - started).toBeLessThan(3_000)
  })
  it('names a file that is too large although its pack is small, in bounded memory', async () => {
    const app = await rig.clone('zeros')
    await command(['truncate', '-s', '600M', 'zeros.bin'], app.folder)
    await app.git('-c', 'core.compression=1', 'add', '-A')
    await app.git('commit', '-qm', 'zeros')
    const pushed = await app.push()
    expect(pushed.output).toMatch(/zeros\.bin is 600 MB, the limit for one file is 500 MB/)
    expect(rig.isAlive).toBe(true)
  })
  it.runIf(process.env['CROFT_TEST_LONG'] === '1')('names the limit when the pack itself is too large', async () => {
    const app = await rig.clone('huge')
    await command(['dd', 'if=/dev/urandom', 'of=big.bin', 'bs=1M', 'count=600'], app.folder)
    await app.git('-c', 'core.compression=0', 'add', '-A')
    await app.git('commit', '-qm', 'huge')
    const pushed = await app.git('-c', 'pack.compression=0', 'push', 'croft', 'main')
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toMatch(/larger than the limit of 500 MB/)
  })
  it.each([
    ['a folder .git', ['40000 .git'], /hasDotgit: contains '\.git'/],
    ['a folder ..', ['40000 ..'], /hasDotdot: contains '\.\.'/],
    ['a path for a name', ['100644 etc/passwd'], /fullPathname: contains full pathnames/],
    ['one name twice', ['100644 a', '100644 a'], /duplicateEntries: contains duplicate file entries/],
  ])('keeps no object of a tree that holds %s, and says what is wrong with it', async (what, entries, complaint) => {
    const app = await rig.clone('malformed')
    const lines = (await app.git('ls-tree', 'HEAD')).output // of package.json
    const blob = /^100644 blob ([0-9a-f]{40})\t/.exec(lines)?.[1] ?? ''
    const empty = (await command(['git', 'mktree'], app.folder, '')).output.trim()
    const raw = entries.flatMap((entry) => [
      Buffer.from(`${entry}\0`),
      Buffer.from(entry.startsWith('40000') ? empty : blob, 'hex'),
    ])
    const write = ['git', 'hash-object', '-w', '--literally', '-t', 'tree', '--stdin']
    const tree = (await command(write, app.folder, Buffer.concat(raw))).output.trim()
    const commit = (await app.git('commit-tree', tree, '-m', what)).output.trim()
    expect(commit).toMatch(/^[0-9a-f]{40}$/)
    const pushed = await app.push(`${commit}:refs/heads/main`)
    expect(pushed.code).not.toBe(0)
    const said = pushed.lines.find((line) => line.includes(`git did not take the objects: object ${tree}: `))
    expect(said, pushed.output).toMatch(complaint)
    expect(pushed.output).toContain('git fsck shows what is wrong in your clone')
    expect(await rig.pushes('malformed')).toEqual([])
    const kept = await command(['git', `--git-dir=${await rig.repository('malformed')}`, 'cat-file', '-e', tree])
    expect(kept.code).not.toBe(0)
  })
  it('carries hostile file names to the build as they are', async () => {
    const names = ['$(touch pwned);`id`&&x', '--upload-pack=x', '-rf', 'a\\b', "it's", 'grün.txt']
    const app = await rig.clone('hostile-files', Object.fromEntries(names.map((name) => [name, 'x'])))
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(rig.sources.at(-1)).toEqual(expect.arrayContaining(names))
    await app.git('config', 'core.quotePath', 'false')
    writeFileSync(join(app.folder, 'esc\u001b[31m\nname'), 'x')
    await app.commit('control characters')
    const refused = await app.push()
    expect(refused.code).not.toBe(0)
    expect(refused.output).toMatch(/control character/)
  })
})

describe('a push that fails', () => {
  it('in its build moves no ref, and ends with cause, remedy and the id of the build', async () => {
    const app = await rig.clone('broken')
    expect((await app.push()).code).toBe(0)
    const before = await rig.head('broken')
    const result = {
      outcome: 'failed' as const,
      reason: 'buildpack' as const,
      message: 'npm ci failed',
      suggestion: 'npm install',
    }
    rig.onBuild = () => ({ result })
    await app.change()
    const pushed = await app.push()
    expect(pushed.code).not.toBe(0)
    expect(pushed.lines.slice(-3)).toEqual([
      ' !     npm ci failed',
      ' !     Try: npm install',
      expect.stringMatching(/^ ! {5}Details: croft builds:info [0-9a-f-]{36} -a broken$/),
    ])
    expect(pushed.output).toContain('[remote rejected] main -> main (build failed)')
    expect(await rig.head('broken')).toBe(before)
    expect((await releases('broken')).length).toBe(1)
    expect(await rig.pushes('broken')).toEqual(['committed', 'refused'])
  })
  it('in its deployment keeps the number of its release and moves no ref', async () => {
    const app = await rig.clone('crashing')
    rig.node.behave = (item) =>
      item.spec.kind === 'build' ? { kind: 'hang' } : { kind: 'crash', lastLines: ['boom at line 1'] }
    const pushed = await app.push()
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toContain('boom at line 1')
    expect(pushed.output).toMatch(/ !     Try: /)
    expect(pushed.output).toMatch(/builds:info [0-9a-f-]{36}/)
    expect(await rig.head('crashing')).toBeUndefined()
    rig.node.behave = () => ({ kind: 'ready' })
    await app.change()
    const next = await app.push()
    expect(next.code, next.output).toBe(0)
    expect((await releases('crashing')).map((row) => row.version)).toEqual([1, 2])
  })
})

describe('pushes at once', () => {
  async function three(name: string): Promise<[Clone, Clone, Clone]> {
    const first = await rig.clone(name)
    expect((await first.push()).code).toBe(0)
    const others = await Promise.all([rig.clone(name), rig.clone(name)])
    for (const other of others) {
      await other.git('fetch', '-q', 'croft', 'main')
      await other.git('reset', '-q', '--hard', 'FETCH_HEAD')
    }
    return [first, others[0] as Clone, others[1] as Clone]
  }
  it('build one by one: the second waits, a third takes its place, and the third is told to fetch first', async () => {
    const [first, second, third] = await three('queue')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    await Promise.all([first.change('1'), second.change('2'), third.change('3')])
    const one = first.push()
    await waitFor(async () => (await rig.pushes('queue')).at(-1) === 'accepted', {
      what: 'the first to build',
      timeoutMs: 10_000,
    })
    const two = second.push()
    await waitFor(async () => (await rig.pushes('queue')).length === 3, {
      what: 'the second to wait',
      timeoutMs: 10_000,
    })
    const last = third.push()
    const superseded = await two
    slow.open()
    const [won, stale] = await Promise.all([one, last])
    expect(won.code, won.output).toBe(0)
    expect(superseded.code).not.toBe(0)
    expect(superseded.output).toMatch(/a newer push by operator took the place/)
    expect(stale.code).not.toBe(0)
    expect(stale.output).toMatch(/Waiting for another push[\s\S]*another push was deployed first[\s\S]*git fetch croft/)
    expect(await rig.pushes('queue')).toEqual(['committed', 'committed', 'canceled', 'refused'])
  })
  it('of apps of their own do not wait for each other’s locks', async () => {
    const [a, b] = await Promise.all([rig.clone('own-a'), rig.clone('own-b')])
    const results = await Promise.all([a.push(), b.push()])
    expect(results.map((result) => result.code)).toEqual([0, 0])
  })
})

describe('a client that leaves', () => {
  it('cancels its build, and frees the lock', async () => {
    const app = await rig.clone('leaving')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const pushing = app.startPush('main')
    await waitFor(async () => (await rig.pushes('leaving')).at(-1) === 'accepted', {
      what: 'the build',
      timeoutMs: 10_000,
    })
    leave(pushing)
    await waitFor(async () => (await rig.pushes('leaving')).at(-1) === 'canceled', {
      what: 'the end',
      timeoutMs: 10_000,
    })
    slow.open()
    const builds = await rig.query<{ state: string }>(
      `SELECT b.state FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'leaving'`,
    )
    expect(builds.map((build) => build.state)).toEqual(['canceled'])
    rig.onBuild = () => ({})
    expect((await app.push()).code).toBe(0)
  })
  it('with -o detach lets it go on to its end', async () => {
    const app = await rig.clone('detached')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const pushing = app.startPush('-o', 'detach', 'main')
    await waitFor(async () => (await rig.pushes('detached')).at(-1) === 'accepted', {
      what: 'the build',
      timeoutMs: 10_000,
    })
    leave(pushing)
    slow.open()
    await waitFor(async () => (await rig.pushes('detached')).at(-1) === 'committed', {
      what: 'the end',
      timeoutMs: 10_000,
    })
    expect(await rig.head('detached')).toBeDefined()
  })
})

describe('builds', () => {
  interface Shown {
    id: string
    state: string
    reason: string | null
    commit: string
    image: string | null
  }
  it('are shown with their log, to their team only', async () => {
    const app = await rig.clone('shown')
    const api = <T>(path: string) => rig.api<T>(`/api/v1/apps/shown/builds${path}`)
    expect((await app.push()).code).toBe(0)
    const { body: builds } = await api<Shown[]>('')
    expect(builds).toMatchObject([{ state: 'succeeded', reason: null, commit: await rig.head('shown') }])
    expect((await api<Shown>(`/${builds[0]?.id}`)).body).toEqual(builds[0])
    for (const query of ['', '?follow=1']) {
      const log = await rig.text(`/api/v1/apps/shown/builds/${builds[0]?.id}/logs${query}`)
      expect(log).toContain('Node.js app detected')
    }
    for (const id of ['01234567-89ab-7def-8123-456789abcdef', '..%2f..%2fetc']) {
      expect((await api(`/${id}`)).status).toBe(404)
      expect((await api(`/${id}/logs`)).status).toBe(404)
    }
  })
  it('can be made anew of what was pushed last, with caches or without, as a push that moves no ref', async () => {
    const app = await rig.clone('anew')
    const ask = (body: unknown) => rig.post('/api/v1/apps/anew/builds', body)
    await rig.createApp('anew')
    expect((await ask({})).status).toBe(409)
    expect((await app.push()).code).toBe(0)
    const head = await rig.head('anew')
    for (const cache of [true, false]) {
      const { status, text } = await ask({ cache })
      expect(status, text).toBe(200)
      const said = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { line?: string }]))
      expect(said.map(({ line }) => line)).toContain('-----> Exporting image')
      expect(said.at(-1)).toEqual({ outcome: 'deployed', release: cache ? 2 : 3 })
    }
    expect(await rig.head('anew')).toBe(head)
    expect(await rig.pushes('anew')).toEqual(['committed', 'committed', 'committed'])
    const built = await rig.query<{ clean: boolean }>(
      `SELECT b.is_clean AS clean FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'anew' ORDER BY b.id`,
    )
    expect(built.map(({ clean }) => clean)).toEqual([false, false, true])
    expect(await rig.delete('/api/v1/apps/anew/builds/cache')).toBe(204)
    await ask({})
    await ask({})
    const afterwards = await rig.query<{ clean: boolean }>(
      `SELECT b.is_clean AS clean FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'anew' ORDER BY b.id OFFSET 3`,
    )
    expect(afterwards.map(({ clean }) => clean)).toEqual([true, false])
    expect((await ask({ cash: false })).status).toBe(400)
  })
  it('are followed and canceled by their id, once', async () => {
    const app = await rig.clone('stopped')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const pushing = app.push()
    const builds = '/api/v1/apps/stopped/builds'
    const open = await waitFor(
      async () => (await rig.api<Shown[]>(builds)).body.find?.(({ state }) => state === 'running'),
      { what: 'a running build', timeoutMs: 10_000 },
    )
    const following = rig.text(`${builds}/${open.id}/logs?follow=1`)
    const canceled = await rig.post(`${builds}/${open.id}/cancel`, {})
    expect(JSON.parse(canceled.text)).toMatchObject({ id: open.id, state: 'canceled' })
    expect((await rig.post(`${builds}/${open.id}/cancel`, {})).status).toBe(409)
    slow.open()
    const pushed = await pushing
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toContain('canceled by operator')
    await following
    expect(await releases('stopped')).toEqual([])
  })
  it('whose node is lost are queued once more, and then fail', async () => {
    const app = await rig.clone('lost')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const pushing = app.push()
    const open = () =>
      rig.query<{ id: string; attempt: number; state: string }>(
        `SELECT b.id, b.attempt, b.state FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'lost'`,
      )
    const interrupted = async (
      attempt: number,
      then: (row: { attempt: number; state: string }) => boolean,
    ): Promise<void> => {
      await waitFor(async () => (await open()).some((row) => row.state === 'running' && row.attempt === attempt), {
        what: `attempt ${attempt}`,
        timeoutMs: 10_000,
      })
      // As if nobody had heard of the node for a minute: the instance is gone, the lease ran out.
      await rig.query(
        `UPDATE instance SET gone_at = now() WHERE build_id = (SELECT b.id FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = 'lost')`,
      )
      await rig.query(`UPDATE build SET lease_until = now() - interval '1 second' WHERE state = 'running'`)
      await waitFor(async () => (await open()).some(then), { what: 'the sweeper', timeoutMs: 12_000 })
    }
    await interrupted(1, (row) => row.attempt === 2)
    await interrupted(2, (row) => row.state === 'failed')
    slow.open()
    const pushed = await pushing
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).toMatch(/the node that built was lost/)
  })
})

describe('a controller that is asked to stop while a push builds', () => {
  it('does so, and the push is refused by the next one', async () => {
    const app = await rig.clone('stopping')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const pushing = app.push()
    await waitFor(async () => (await rig.pushes('stopping')).at(-1) === 'accepted', {
      what: 'the build',
      timeoutMs: 10_000,
    })
    const code = await rig.stop()
    slow.open()
    expect((await pushing).code).not.toBe(0)
    expect(code).toBe(0)
    await rig.boot()
    expect(['refused', 'canceled']).toContain((await rig.pushes('stopping')).at(-1))
    rig.onBuild = () => ({})
    const again = await app.push()
    expect(again.code, again.output).toBe(0)
  })
})

describe('Redis', () => {
  it('killed and emptied while a build waits loses nothing', async () => {
    const app = await rig.clone('redis')
    const slow = gate()
    rig.onBuild = () => ({ until: slow.until })
    const blocking = await rig.clone('redis-first')
    const first = blocking.push()
    await waitFor(async () => (await rig.pushes('redis-first')).at(-1) === 'accepted', {
      what: 'a build',
      timeoutMs: 10_000,
    })
    const second = app.push()
    await waitFor(async () => (await rig.pushes('redis')).at(-1) === 'accepted', {
      what: 'a queued build',
      timeoutMs: 10_000,
    })
    await rig.database.emptyRedis()
    slow.open()
    const results = await Promise.all([first, second])
    expect(
      results.map((result) => result.code),
      results.map((result) => result.output).join(),
    ).toEqual([0, 0])
  })
})

describe('a push whose ref moved', () => {
  /** The controller's program `sync` fails when a file `broken` lies here, waits for a word when a fifo `go` does, then does its work. */
  const SYNC = `#!/bin/sh
here=\${0%/*}
[ ! -e "$here/broken" ] || { echo 'sync: error syncing: Input/output error' >&2; exit 1; }
[ ! -e "$here/go" ] || { echo "$@" >"$here/new"; mv "$here/new" "$here/asked"; read -r go <"$here/go"; }
exec /bin/sync "$@"
`
  let tools: string
  beforeAll(async () => {
    tools = mkdtempSync(join(rig.folder, 'work/tools-'))
    writeFileSync(join(tools, 'sync'), SYNC, { mode: 0o755 })
    await rig.kill()
    await rig.boot(undefined, tools)
  })

  it('is acknowledged only after its repository was synced to disk', async () => {
    const app = await rig.clone('lasting')
    await command(['mkfifo', join(tools, 'go')])
    let isOver = false
    const pushing = app.push().finally(() => (isOver = true))
    await waitFor(() => existsSync(join(tools, 'asked')), { what: 'the sync', timeoutMs: 20_000 })
    expect(readFileSync(join(tools, 'asked'), 'utf8').trim()).toBe(`-f ${await rig.repository('lasting')}`)
    expect(await rig.head('lasting')).toBe((await app.git('rev-parse', 'HEAD')).output.trim())
    expect(await rig.pushes('lasting')).toEqual(['deployed'])
    await delay(500)
    expect(isOver).toBe(false)
    writeFileSync(join(tools, 'go'), 'go\n')
    const pushed = await pushing
    expect(pushed.code, pushed.output).toBe(0)
    expect(await rig.pushes('lasting')).toEqual(['committed'])
    rmSync(join(tools, 'go'))
  })
  it('is not acknowledged when its repository cannot be synced, and finished later', async () => {
    const app = await rig.clone('ailing-disk')
    writeFileSync(join(tools, 'broken'), '')
    const pushed = await app.push()
    expect(pushed.code).not.toBe(0)
    expect(pushed.output).not.toContain('Application deployed')
    rmSync(join(tools, 'broken'))
    await rig.kill()
    await rig.boot()
    await waitFor(async () => (await rig.pushes('ailing-disk'))[0] === 'committed', {
      what: 'the push to be finished',
      timeoutMs: 10_000,
    })
  })
})

describe('a controller killed at', () => {
  /** Before this point a push is refused by the next controller, from it on it is finished. */
  const points = [
    ['push-received', false],
    ['push-accepted', false],
    ['build-queued', false],
    ['build-succeeded', false],
    ['release-created', false],
    ['deployment-succeeded', true],
    ['push-deployed', true],
    ['ref-moved', true],
    ['push-committed', true],
  ] as const
  it.each(isLong ? points : points.filter((_, at) => at % 2 === 1))(
    '%s leaves a push that is whole or was not',
    async (point, isFinished) => {
      const name = `killed-${point}`
      const app = await rig.clone(name)
      expect((await app.push()).code).toBe(0)
      const before = await rig.head(name)
      await rig.kill()
      await rig.boot(point)
      const commit = await app.change()
      const pushed = await app.push()
      expect(pushed.code).not.toBe(0) // nobody was told that it worked
      await rig.dead()
      await rig.boot()
      await waitFor(
        async () => (await rig.pushes(name)).every((state) => ['committed', 'refused', 'canceled'].includes(state)),
        { what: 'the push to end', timeoutMs: 10_000 },
      )
      expect((await rig.pushes(name)).at(-1)).toBe(isFinished ? 'committed' : 'refused')
      expect(await rig.head(name)).toBe(isFinished ? commit : before)
      expect(rig.channels).toEqual([])
      const open = await rig.query(
        `SELECT 1 FROM build b JOIN app a ON a.id = b.app_id WHERE a.name = $1 AND b.state IN ('queued', 'running')`,
        [name],
      )
      expect(open).toEqual([])
      const again = isFinished ? await app.change().then(() => app.push()) : await app.push()
      expect(again.code, again.output).toBe(0)
      const versions = (await releases(name)).map((row) => row.version)
      expect(versions).toEqual(versions.map((_, index) => index + 1))
      expect((await releases(name)).at(-1)?.commit).toBe(await rig.head(name))
      const fsck = await command(['git', `--git-dir=${await rig.repository(name)}`, 'fsck', '--strict'])
      expect(fsck.code, fsck.output).toBe(0)
    },
  )
})
