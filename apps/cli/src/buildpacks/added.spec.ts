import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bareEnv, run } from '@croft/kit'
import { compressLayer, encodeConfig, encodeManifest, layerTar } from '@croft/oci'
import { addBuildpacks, listAdded, removeAdded } from './added.js'

let work: string
beforeEach(() => (work = mkdtempSync(join(tmpdir(), 'added-'))))
afterEach(() => rmSync(work, { recursive: true, force: true }))

const NOW = new Date(Date.UTC(2026, 0, 1))
function buildpack(folder: string, id = 'acme/hello', toml = ''): string {
  const files = {
    'buildpack.toml': toml === '' ? `api = "0.10"\n[buildpack]\nid = "${id}"\nversion = "1.0"\n` : toml,
    'bin/detect': '#!/bin/sh\n',
    'bin/build': '#!/bin/sh\n',
  }
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
    if (path.startsWith('bin/')) chmodSync(join(folder, path), 0o4775)
  }
  return folder
}
const add = (source: string, teams: string[] = []) => addBuildpacks(join(work, 'home'), source, teams, NOW)
const tar = async (folder: string, name: string, ...more: string[]): Promise<string> => {
  await run('tar', ['--create', ...more, '-f', join(work, name), '-C', folder, '.'], {
    timeoutMs: 10_000,
    env: bareEnv(),
  })
  return join(work, name)
}

describe.skipIf(process.getuid?.() !== 0)('adding buildpacks', () => {
  it('keeps a copy that nobody but root can change, with its digest', async () => {
    const [added] = await add(buildpack(join(work, 'source')), ['web'])
    expect(added).toMatchObject({
      id: 'acme/hello',
      version: '1.0',
      teams: ['web'],
      digest: expect.stringMatching(/^sha256:/),
    })
    const program = statSync(join(work, 'home/buildpacks/acme_hello@1.0/bin/build'))
    expect({ uid: program.uid, mode: program.mode & 0o7777 }).toEqual({ uid: 0, mode: 0o755 })
    expect(await listAdded(join(work, 'home'))).toEqual([added])
  })

  it('takes archives, also those with one folder around it, and finds the same digest', async () => {
    const [plain] = await add(buildpack(join(work, 'outer/source')))
    const [packed] = await add(await tar(join(work, 'outer'), 'x.tgz', '--gzip'))
    const [bare] = await add(await tar(join(work, 'outer/source'), 'x.tar'))
    expect([packed?.digest, bare?.digest]).toEqual([plain?.digest, plain?.digest])
  })

  it('takes an image in the OCI layout, and every buildpack of it', async () => {
    const tree = join(work, 'tree')
    buildpack(join(tree, 'cnb/buildpacks/acme_one/1.0'), 'acme/one')
    buildpack(join(tree, 'cnb/buildpacks/acme_two/1.0'), 'acme/two')
    const blob = await compressLayer(layerTar(tree, ['cnb'], { uid: 0, gid: 0 }), join(work, 'spool'))
    const blobs = join(work, 'layout/blobs/sha256')
    mkdirSync(blobs, { recursive: true })
    const config = encodeConfig({
      created: '1980-01-01T00:00:01Z',
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [blob.diffId] },
      history: [],
    })
    const manifest = encodeManifest(config.descriptor, [blob.descriptor])
    const put = (digest: string, bytes: Buffer): void =>
      writeFileSync(join(blobs, digest.slice('sha256:'.length)), bytes)
    const opened = blob.open()
    put(blob.descriptor.digest, Buffer.isBuffer(opened) ? opened : Buffer.concat(await opened.toArray()))
    put(config.descriptor.digest, Buffer.from(config.bytes))
    put(manifest.descriptor.digest, Buffer.from(manifest.bytes))
    writeFileSync(join(work, 'layout/oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
    writeFileSync(
      join(work, 'layout/index.json'),
      JSON.stringify({ schemaVersion: 2, manifests: [manifest.descriptor] }),
    )
    expect((await add(join(work, 'layout'))).map(({ id }) => id)).toEqual(['acme/one', 'acme/two'])
    expect((await add(await tar(join(work, 'layout'), 'image.cnb'))).map(({ id }) => id)).toEqual([
      'acme/one',
      'acme/two',
    ])
  })

  it.each<[string, (folder: string) => void, RegExp]>([
    ['an id of the platform', (folder) => buildpack(folder, 'croft/node'), /id of the platform's own/],
    [
      'an API that is not spoken',
      (folder) => buildpack(folder, '', 'api = "0.3"\n[buildpack]\nid = "a"\nversion = "1"\n'),
      /API 0\.3/,
    ],
    [
      'a version that leads elsewhere',
      (folder) => buildpack(folder, '', 'api = "0.10"\n[buildpack]\nid = "a"\nversion = "../x"\n'),
      /version that is none/,
    ],
    ['no buildpack.toml', (folder) => mkdirSync(folder), /holds no buildpack\.toml/],
    ['no programs', (folder) => rmSync(join(buildpack(folder), 'bin/build')), /no bin\/detect and bin\/build/],
  ])('refuses one with %s', async (_what, make, why) => {
    make(join(work, 'source'))
    await expect(add(join(work, 'source'))).rejects.toThrow(why)
    expect(await listAdded(join(work, 'home'))).toEqual([])
  })

  it('never follows a link out of what it was given', async () => {
    writeFileSync(join(work, 'secret'), 'mine')
    chmodSync(join(work, 'secret'), 0o600)
    symlinkSync(join(work, 'secret'), join(buildpack(join(work, 'source')), 'link'))
    await add(join(work, 'source'))
    expect(statSync(join(work, 'secret')).mode & 0o777).toBe(0o600)
    await run(
      'tar',
      [
        '--create',
        '--absolute-names',
        '-f',
        join(work, 'bad.tar'),
        '--transform=s,.*,../../out,',
        join(work, 'secret'),
      ],
      { timeoutMs: 10_000, env: bareEnv() },
    )
    await expect(add(join(work, 'bad.tar'))).rejects.toThrow('reaches out of its tree')
  })

  it('replaces one of the same version, and removes it', async () => {
    const [first] = await add(buildpack(join(work, 'source')))
    writeFileSync(join(work, 'source/more'), 'x')
    const [second] = await add(join(work, 'source'))
    expect(second?.digest).not.toBe(first?.digest)
    expect(readFileSync(join(work, 'home/buildpacks/acme_hello@1.0/more'), 'utf8')).toBe('x')
    await removeAdded(join(work, 'home'), 'acme/hello@1.0')
    expect(await listAdded(join(work, 'home'))).toEqual([])
    await expect(removeAdded(join(work, 'home'), 'acme/hello@1.0')).rejects.toThrow('no added buildpack')
  })
})
