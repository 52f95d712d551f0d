import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cleanHome, releaseHomeIndex } from '@croft/backend-linux'
import { ContainerNotFoundError, ImageError, type Backend, type Container } from '@croft/garden-api'
import { commands, runToEnd, SIGTERM, waitForLog } from '@croft/garden-api/conformance'
import { run, waitFor } from '@croft/kit'
import { digestOf, encodeConfig, encodeManifest, hexOf, mediaTypes } from '@croft/oci'
import { root } from './support/backend-rig.js'
import { GardenProgram } from './support/garden-rig.js'

let garden: GardenProgram
let client: Backend
beforeEach(async () => {
  garden = await GardenProgram.make()
  client = garden.client()
})
afterEach(async () => {
  await garden.end('SIGTERM')
  await sweep()
  await garden.close()
})

/** What a program of this spec left that was ended without its containers. */
async function sweep(): Promise<void> {
  const k = Number((await readFile(join(garden.depot, 'k'), 'utf8').catch(() => '')).split(' ')[0] || Number.NaN)
  if (Number.isNaN(k)) return
  const runDir = `/run/croft/${k}/containers`
  await cleanHome({ index: k, depotDir: join(garden.depot, 'containers'), runDir, runcRoot: `/run/croft/${k}/runc` })
  await releaseHomeIndex(garden.depot)
}
const tar = async (folder: string, file: string): Promise<string> => {
  await run('tar', ['-C', folder, '-cf', file, '.'], { timeoutMs: 60_000 })
  return file
}
const shown = async (container: Container, path: string): Promise<string> =>
  (await runToEnd(container, commands.show(path))).stdout.toString()
const NETWORK = ['--network', '10.223.64.0/24']

describe('croft garden', () => {
  it('serves containers, leaves them running when it ends, and takes them up again', async () => {
    const options = ['--default-rootfs', root, ...NETWORK]
    expect(await garden.start(...options)).toBeNull()
    const container = await client.create({ handle: 'stays' })
    await container.run({ ...commands.trap(9), id: 'survivor' })
    await waitForLog(container, 'survivor', 'ready')
    expect(await garden.end('SIGINT')).toBe(0)

    await garden.start(...options)
    expect(JSON.parse(garden.output)).toMatchObject({ listening: [garden.address], backend: 'linux', adopted: 1 })
    const survivor = await (await client.lookup('stays')).attach('survivor')
    await survivor.signal(SIGTERM)
    expect((await survivor.wait()).exitCode).toBe(9)
  })

  it('refuses a depot or addresses that another one has, and a default image that is not there, in one line', async () => {
    await garden.start('--default-rootfs', root, ...NETWORK)
    const second = await GardenProgram.make()
    try {
      expect(await second.start('--depot', garden.depot)).toBe(1)
      expect(second.output).toContain('another `croft garden` uses')
      expect(await second.start('--destroy-on-exit', ...NETWORK)).toBe(1)
      expect(second.output).toMatch(/10\.223\.64\.0\/24 already in use.*\n?.*--network/)
      expect(await second.start('--default-rootfs', '/nosuch/image.tar')).toBe(1)
      expect(second.output).toContain('there is no such directory or tar')
    } finally {
      await second.close()
    }
  })

  it('destroys its containers at its end when it is told to', async () => {
    await garden.start('--default-rootfs', root, '--destroy-on-exit', ...NETWORK)
    const container = await client.create({ handle: 'goes' })
    await container.run({ ...commands.forever(), id: 'p' })
    const pid = (await container.processes())[0]?.pid
    expect(await garden.end('SIGTERM')).toBe(0)
    expect(await readdir('/proc')).not.toContain(String(pid))
    expect(await readdir(garden.depot)).not.toContain('k')
  })

  it('destroys a container that is idle for its grace time, and none that is leased or in use', async () => {
    await garden.start('--default-rootfs', root, ...NETWORK)
    await client.create({ handle: 'idle', graceTimeMs: 300 })
    const leased = await client.create({ handle: 'leased', graceTimeMs: 300 })
    await leased.setLease({ holder: 'spec', expiresAtMs: Date.now() + 60_000 })
    const used = await client.create({ handle: 'used', graceTimeMs: 300 })
    await (await used.run({ ...commands.sleep(1) }, {})).wait()
    const listed = async (): Promise<string[]> => (await client.containers()).map(({ handle }) => handle).toSorted()
    expect(await listed()).toContain('used')
    await waitFor(async () => !(await listed()).includes('idle'), { what: 'the idle one to go', timeoutMs: 5_000 })
    await waitFor(async () => !(await listed()).includes('used'), { what: 'the other one to go', timeoutMs: 5_000 })
    expect(await listed()).toEqual(['leased'])
    await expect(client.lookup('idle')).rejects.toThrow(ContainerNotFoundError)
  })

  it('makes containers from a tar, from an OCI layout with whiteouts, and from what an alias names', async () => {
    const layout = join(garden.folder, 'layout')
    await makeLayout(layout)
    const base = await tar(root, join(garden.folder, 'base.tar'))
    await garden.start('--image-alias', `docker:///base=${base}`, ...NETWORK)

    const first = await client.create({ image: { uri: 'docker:///base' } })
    expect(await shown(first, '/etc/passwd')).toContain('root:')
    const layered = await client.create({ image: { uri: `oci://${layout}` } })
    expect(await shown(layered, '/opt/new')).toBe('of the second layer')
    expect((await runToEnd(layered, commands.show('/opt/removed'))).exit.exitCode).not.toBe(0)
    expect((await runToEnd(layered, commands.show('/opaque/old'))).exit.exitCode).not.toBe(0)
    expect(await shown(layered, '/opaque/fresh')).toBe('kept')
    expect((await runToEnd(layered, commands.env())).stdout.toString()).toContain('FROM_IMAGE=yes\n')
    await expect(client.create({ image: { uri: 'docker:///other' } })).rejects.toThrow(ImageError)
  })

  it('makes containers from an image with one more layer above it, whose bytes are checked', async () => {
    const app = join(garden.folder, 'app')
    await mkdir(app)
    await writeFile(join(app, 'word'), 'of the app')
    const layer = await tar(app, join(garden.folder, 'app.tar'))
    await garden.start('--default-rootfs', root, ...NETWORK)
    const uri = (digest: string): string =>
      `preloaded+layer:?layer=${layer}&layer_path=/home/app&layer_digest=${digest}`

    const container = await client.create({ image: { uri: uri(hexOf(digestOf(await readFile(layer)))) } })
    expect(await shown(container, '/home/app/word')).toBe('of the app')
    expect(await shown(container, '/etc/passwd')).toContain('root:')
    await expect(client.create({ image: { uri: uri('ab'.repeat(32)) } })).rejects.toThrow(/app\.tar is sha256:.*, not/)
  })
})

/** A layout with the test's root below a layer that adds, removes and hides. */
async function makeLayout(folder: string): Promise<void> {
  const blobs = join(folder, 'blobs/sha256')
  const work = join(folder, 'work')
  await mkdir(blobs, { recursive: true })
  const put = async (bytes: Buffer, mediaType: string) => {
    const digest = digestOf(bytes)
    await writeFile(join(blobs, hexOf(digest)), bytes)
    return { digest, mediaType, size: bytes.length }
  }
  const layer = async (files: Record<string, string>, from?: string) => {
    await rm(work, { recursive: true, force: true })
    if (from === undefined) await mkdir(work)
    else await run('cp', ['-a', from, work], { timeoutMs: 60_000 })
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(work, path, '..'), { recursive: true })
      await writeFile(join(work, path), text)
    }
    return await put(await readFile(await tar(work, join(folder, 'layer.tar'))), mediaTypes.layerTar)
  }
  const layers = [
    await layer({ 'opt/removed': 'x', 'opaque/old': 'x' }, root),
    await layer({
      'opt/new': 'of the second layer',
      'opt/.wh.removed': '',
      'opaque/.wh..wh..opq': '',
      'opaque/fresh': 'kept',
    }),
  ]
  const config = encodeConfig({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Env: ['FROM_IMAGE=yes'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  })
  await put(config.bytes, mediaTypes.config)
  const manifest = encodeManifest(config.descriptor, layers)
  await put(manifest.bytes, mediaTypes.manifest)
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest.descriptor] }))
}
