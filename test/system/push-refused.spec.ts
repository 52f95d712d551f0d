import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { command } from './support/git-clone.js'
import type { PushRig } from './support/push-rig.js'
import { usePushRig } from './support/use-push-rig.js'

const isLong = process.env['CROFT_TEST_LONG'] !== undefined

/** What is refused of a push, and what its pusher is told: a real git and controller, a scripted executor. */

let rig: PushRig
usePushRig((started) => (rig = started))

describe('a push that is refused before anything is built', () => {
  it('without or with a wrong token is 401 with a hint, and makes no app', async () => {
    const app = await rig.clone('no-token')
    for (const token of ['wrong', '']) {
      await app.git('remote', 'set-url', 'croft', rig.url('no-token', token))
      const pushed = await app.push()
      expect(pushed.code).not.toBe(0)
      expect(pushed.output).toMatch(/Authentication failed|could not read|token/)
    }
    expect(await rig.appNames()).not.toContain('no-token')
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
    expect(await rig.appNames()).not.toContain('never')
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
    expect((await rig.releases('refs')).length).toBe(2)
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
    expect((await app.push()).output).toMatch(/Procfile, line 2: .*colon/)
    app.write({ Procfile: 'web: a\n', 'app.json': '{"formation": {"web": {"quantity": -1}}}' })
    await app.commit('json')
    expect((await app.push()).output).toMatch(/app\.json, line 1: formation\.web\.quantity/)
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
  it.runIf(isLong)('names a file that is too large although its pack is small, in bounded memory', async () => {
    const app = await rig.clone('zeros')
    await command(['truncate', '-s', '501M', 'zeros.bin'], app.folder)
    await app.git('-c', 'core.compression=1', 'add', '-A')
    await app.git('commit', '-qm', 'zeros')
    const pushed = await app.push()
    expect(pushed.output).toMatch(/zeros\.bin is 501 MB, the limit for one file is 500 MB/)
    expect(rig.isAlive).toBe(true)
  })
  it.runIf(isLong)('names the limit when the pack itself is too large', async () => {
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
    expect((await rig.releases('broken')).length).toBe(1)
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
    expect((await rig.releases('crashing')).map((row) => row.version)).toEqual([1, 2])
  })
})
