import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, connect, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { waitFor } from '@croft/kit'
import { TokenService, type Principal } from '@croft/controller'
import { generatedLayerTar } from '@croft/oci'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controllerRig, type ControllerRig } from './support/controller-rig.js'
import { fetchPeers, peer, runPeer } from './support/foreign-peers.js'

/** The registry and other people's tools, both ways. Tag: registry. */

const hasPeers = await fetchPeers()
const sha = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** An image in a layout, as any tool may have made it: its layers compressed with gzip. */
async function writeLayout(folder: string, tag: string, text: string): Promise<string> {
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true })
  const store = (bytes: Buffer): { digest: string; size: number } => {
    writeFileSync(join(folder, 'blobs/sha256', sha(bytes).slice(7)), bytes)
    return { digest: sha(bytes), size: bytes.length }
  }
  const tar = await generatedLayerTar([{ kind: 'file', path: '/hello', content: text }])
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...store(gzipSync(tar)) }
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/hello'] },
    rootfs: { type: 'layers', diff_ids: [sha(tar)] },
  }
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...store(Buffer.from(JSON.stringify(config))) },
      layers: [layer],
    }),
  )
  const entry = { mediaType: 'application/vnd.oci.image.manifest.v1+json', ...store(manifest) }
  const annotations = { 'org.opencontainers.image.ref.name': tag }
  writeFileSync(
    join(folder, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...entry, annotations }] }),
  )
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  return entry.digest
}

describe.skipIf(!hasPeers)('the registry and foreign tools', () => {
  let rig: ControllerRig
  let door: Server
  let folder: string
  let at: string
  let token: string
  let viewer: string

  beforeAll(async () => {
    rig = await controllerRig()
    folder = mkdtempSync(join(tmpdir(), 'croft-registry-'))
    door = createServer((socket) => {
      const inner = connect(rig.controller.apiSocket)
      socket.on('error', () => inner.destroy()).pipe(inner)
      inner.on('error', () => socket.destroy()).pipe(socket)
    })
    await new Promise<void>((done) => door.listen(0, 'localhost', done))
    at = `localhost:${(door.address() as AddressInfo).port}`
    const issue = rig.controller.app.get(TokenService)
    const { teamId } = (await issue.find(rig.operatorToken)) as Principal
    token = (await issue.create({ teamId, role: 'machine', description: 'ci' })).token
    viewer = (await issue.create({ teamId, role: 'viewer', description: 'viewer' })).token
    for (const name of ['shop', 'site']) {
      await rig.ask('POST', '/api/v1/apps', { token: rig.operatorToken, body: { name } })
    }
  })
  afterAll(async () => {
    door?.close()
    await rig?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const skopeo = (...args: string[]) => runPeer('skopeo', folder, ['--insecure-policy', ...args])
  const copy = (from: string, to: string, ...args: string[]) =>
    skopeo(
      'copy',
      '--quiet',
      '--preserve-digests',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      ...args,
      from,
      to,
    )

  it('take an image from skopeo and give it back with the same digest', async () => {
    const digest = await writeLayout(join(folder, 'in'), 'one', 'hello')
    const pushed = await copy(`oci:${folder}/in:one`, `docker://${at}/shop:one`, '--dest-creds', `ci:${token}`)
    expect(pushed.code, pushed.output).toBe(0)
    const pulled = await copy(`docker://${at}/shop:one`, `oci:${folder}/out:one`, '--src-creds', `x:${viewer}`)
    expect(pulled.code, pulled.output).toBe(0)
    const index = JSON.parse(readFileSync(join(folder, 'out/index.json'), 'utf8')) as {
      manifests: { digest: string }[]
    }
    expect(index.manifests.map((one) => one.digest)).toEqual([digest])
    expect(readdirSync(join(folder, 'out/blobs/sha256')).toSorted()).toEqual(
      readdirSync(join(folder, 'in/blobs/sha256')).toSorted(),
    )
    const listed = await skopeo('list-tags', '--tls-verify=false', '--creds', `x:${viewer}`, `docker://${at}/shop`)
    expect(JSON.parse(listed.stdout)).toMatchObject({ Tags: ['one'] })
  })

  it('refuse whoever may not: no credentials, a viewer that pushes, an app that is not there', async () => {
    for (const [to, ...more] of [
      ['shop'],
      ['shop', '--dest-creds', `x:${viewer}`],
      ['shop', '--dest-creds', 'x:croft_wrong'],
      ['missing', '--dest-creds', `x:${token}`],
    ]) {
      const pushed = await copy(`oci:${folder}/in:one`, `docker://${at}/${to}:no`, ...more)
      expect(pushed.code, `${to} ${more.length}`).not.toBe(0)
    }
    const listed = await skopeo('list-tags', '--tls-verify=false', '--creds', `x:${viewer}`, `docker://${at}/shop`)
    expect(listed.stdout).not.toContain('"no"')
  })

  it('move an image to another app without sending its layers again', async () => {
    const creds = ['--src-creds', `ci:${token}`, '--dest-creds', `ci:${token}`]
    const moved = await copy(`docker://${at}/shop:one`, `docker://${at}/site:two`, ...creds)
    expect(moved.code, moved.output).toBe(0)
  })

  it('take what umoci made, and give it back so that umoci unpacks it', async () => {
    const layout = join(folder, 'umoci')
    for (const args of [
      ['init', '--layout', layout],
      ['new', '--image', `${layout}:made`],
      ['config', '--image', `${layout}:made`, '--config.cmd', '/bin/true'],
    ]) {
      const made = await runPeer('umoci', folder, args)
      expect(made.code, made.output).toBe(0)
    }
    const creds = `ci:${token}`
    const pushed = await copy(`oci:${layout}:made`, `docker://${at}/shop:made`, '--dest-creds', creds)
    expect(pushed.code, pushed.output).toBe(0)
    const back = await copy(`docker://${at}/shop:one`, `oci:${folder}/back:one`, '--src-creds', creds)
    expect(back.code, back.output).toBe(0)
    const unpacked = await runPeer('umoci', folder, ['unpack', '--image', `${folder}/back:one`, join(folder, 'bundle')])
    expect(unpacked.code, unpacked.output).toBe(0)
    expect(readFileSync(join(folder, 'bundle/rootfs/hello'), 'utf8')).toBe('hello')
  })

  it('exchange images with Debian’s docker-registry, in both directions', async () => {
    const { file, env } = peer('docker-registry', folder)
    const port = await freePort()
    writeFileSync(
      join(folder, 'config.yml'),
      `version: 0.1\nstorage:\n  filesystem: {rootdirectory: ${folder}/store}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
    )
    const other: ChildProcess = spawn(file, ['serve', join(folder, 'config.yml')], { env, stdio: 'ignore' })
    try {
      await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => null))?.ok, {
        what: 'docker-registry',
        timeoutMs: 15_000,
      })
      const there = `docker://127.0.0.1:${port}/library/one:x`
      const out = await copy(`docker://${at}/shop:one`, there, '--src-creds', `ci:${token}`)
      expect(out.code, out.output).toBe(0)
      const back = await copy(there, `docker://${at}/site:back`, '--dest-creds', `ci:${token}`)
      expect(back.code, back.output).toBe(0)
    } finally {
      other.kill('SIGKILL')
    }
    const inspected = await skopeo('inspect', '--tls-verify=false', '--creds', `x:${token}`, `docker://${at}/site:back`)
    expect(JSON.parse(inspected.stdout)).toMatchObject({
      Digest: await writeLayout(join(folder, 'again'), 'one', 'hello'),
    })
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}
