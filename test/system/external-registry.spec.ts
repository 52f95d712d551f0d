import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { silentLogger, waitFor } from '@croft/kit'
import { makeCertificates } from '@croft/kit/testing/certificates'
import { digestOf, ExternalRegistry, generatedLayerTar, parseCredentials, RegistryClient } from '@croft/oci'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { BaseImages } from '../../apps/executor/src/image/base-image.js'
import { PublishedSource } from '../../apps/executor/src/image/image-source.js'
import { Images } from '../../apps/executor/src/image/images.js'
import { LayerStore } from '../../apps/executor/src/image/layers.js'
import { ControlRig } from './support/control-rig.js'
import { ScriptedNode } from './support/scripted-node.js'
import { ScriptedRouter } from './support/scripted-router.js'
import { DockerRegistry } from './support/docker-registry.js'
import { fetchPeers } from './support/foreign-peers.js'
import { command, Platform, webApp, type Repository } from './support/platform.js'

/** `--registry-url`, with Debian's docker-registry as the registry of somebody else. Tag: registry. */

const hasPeers = await fetchPeers()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
const CREDENTIALS = 'croft:a-secret-canary-of-the-registry'
const TYPE = 'application/vnd.oci.image.manifest.v1+json'

describe.skipIf(!hasPeers)('an image of a platform with a registry of somebody else', () => {
  let registry: DockerRegistry
  let rig: ControlRig
  let node: ScriptedNode
  let router: ScriptedRouter
  let door: Server
  let folder: string
  let at: string

  beforeAll(async () => {
    registry = await DockerRegistry.start(CREDENTIALS)
    const url = `http://${registry.host}/department/croft`
    rig = await ControlRig.start({ homeId: 'home-1', registry: { url, credentials: parseCredentials(CREDENTIALS) } })
    node = new ScriptedNode(rig.nodeSocket)
    router = new ScriptedRouter(rig.controlSocket)
    await node.start()
    await router.start()
    folder = mkdtempSync(join(tmpdir(), 'croft-external-'))
    door = createServer((socket) => {
      const inner = connect(rig.apiSocket)
      socket.on('error', () => inner.destroy()).pipe(inner)
      inner.on('error', () => socket.destroy()).pipe(socket)
    })
    await new Promise<void>((done) => door.listen(0, 'localhost', done))
    at = `localhost:${(door.address() as AddressInfo).port}`
    for (const name of ['source', 'site']) await rig.createApp(name)
  })
  afterEach(() => {
    registry.temper = 'good'
  })
  afterAll(async () => {
    door?.close()
    await router?.stop()
    await node?.stop()
    await rig?.close()
    await registry?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** One request to the platform's own registry. */
  function ask(method: string, path: string, body?: Buffer, type = 'application/octet-stream'): Promise<Response> {
    return fetch(`http://${at}${path}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from(`x:${rig.operatorToken}`).toString('base64')}`,
        'content-type': type,
      },
      ...(body !== undefined && { body: new Uint8Array(body) }),
    })
  }

  /** Pushes an image of one file to the app `source`. */
  async function push(content: string): Promise<{ digest: string; layer: string; config: string }> {
    const tar = await generatedLayerTar([{ kind: 'file', path: '/hello', content }])
    const upload = async (bytes: Buffer) => {
      const digest = digestOf(bytes)
      expect((await ask('POST', `/v2/source/blobs/uploads/?digest=${digest}`, bytes)).status).toBe(201)
      return { digest, size: bytes.length }
    }
    const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...(await upload(gzipSync(tar))) }
    const document = {
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: { Cmd: ['/hello'] },
      rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    }
    const config = {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      ...(await upload(Buffer.from(JSON.stringify(document)))),
    }
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: TYPE, config, layers: [layer] }))
    expect((await ask('PUT', `/v2/source/manifests/${digestOf(content).slice(7)}`, manifest, TYPE)).status).toBe(201)
    return { digest: digestOf(manifest), layer: layer.digest, config: config.digest }
  }
  const deploy = (digest: string) =>
    rig.api<{ deployment: string; code: string; title: string; suggestion: string }>('POST', '/apps/site/images', {
      image: `localhost:8080/source@${digest}`,
    })

  /** A node with nothing yet, which gets its images as an executor does. */
  async function freshNode(name: string): Promise<{ images: Images; layers: LayerStore; home: string }> {
    const home = join(folder, name)
    const layers = await LayerStore.open({ folder: join(home, 'layers'), bootId: 'boot', logger: silentLogger })
    const own = new RegistryClient({ socketPath: rig.nodeSocket, origin: 'http://controller' })
    const url = `http://${registry.host}/department/croft`
    const credentials = parseCredentials(CREDENTIALS)
    const timeouts = { answerMs: 500, idleMs: 500 }
    const source = new PublishedSource(new ExternalRegistry({ url, credentials, homeId: 'home-1', timeouts }), own)
    const bases = new BaseImages(join(home, 'base'), join(home, 'stacks'))
    return { images: new Images({ folder: join(home, 'images'), layers, bases, registry: source }), layers, home }
  }
  const blobsOf = (digest: string): string[] =>
    globBlobs(join(registry.folder, 'store')).filter((hex) => digest.endsWith(hex))

  it('is published before it is released, whole, and only once', async () => {
    const image = await push('one')
    const { status, body } = await deploy(image.digest)
    expect(status, JSON.stringify(body)).toBe(202)
    for (const digest of Object.values(image)) expect(blobsOf(digest)).toHaveLength(1)
    expect(registry.asked.filter((one) => one.startsWith('PUT'))).toHaveLength(3)
    expect(registry.asked.join('\n')).toContain(`/v2/department/croft/home-1/manifests/image-${image.digest.slice(7)}`)
    await rig.finish(body.deployment as never)
    registry.asked.length = 0
    await deploy(image.digest)
    expect(registry.asked).toEqual([])
  })

  it('is pulled by a node from there, and read from there by the platform when its own copy is gone', async () => {
    const image = await push('two')
    await rig.finish((await deploy(image.digest)).body.deployment as never)
    const home = join(rig.home, 'registry/blobs/sha256')
    for (const hex of readdirSync(home)) rmSync(join(home, hex))
    const { images, home: nodeHome } = await freshNode('pulls')
    registry.asked.length = 0
    await images.ensure('01234567-89ab-7def-8123-456789abcdef', image.digest)
    // each once with an answer; before the first one it asks for credentials
    expect(new Set(registry.asked.filter((one) => one.startsWith('GET'))).size).toBe(3)
    const [tree = ''] = (await images.mounts(image.digest as never)).lowerPaths
    expect(tree.startsWith(nodeHome)).toBe(true)
    expect(readFileSync(join(tree, 'hello'), 'utf8')).toBe('two')
    const blob = await ask('GET', `/v2/source/blobs/${image.layer}`)
    expect(digestOf(Buffer.from(await blob.arrayBuffer()))).toBe(image.layer)
    const part = await fetch(`http://${at}/v2/source/blobs/${image.config}`, {
      headers: {
        authorization: `Basic ${Buffer.from(`x:${rig.operatorToken}`).toString('base64')}`,
        range: 'bytes=2-13',
      },
    })
    expect([part.status, await part.text()]).toEqual([206, 'architecture'])
    const head = await ask('HEAD', `/v2/source/manifests/${image.digest}`)
    expect(head.status).toBe(200)
  })

  it('from before there was a registry is what the platform itself has', async () => {
    const image = await push('never released')
    const { images } = await freshNode('older')
    await images.ensure((await rig.api<{ id: string }>('GET', '/apps/source')).body.id, image.digest)
    expect((await images.mounts(image.digest as never)).lowerPaths).toHaveLength(1)
    expect(blobsOf(image.layer)).toEqual([])
  })

  it('is refused in one line while the registry is down or does not let us in, and the former release serves on', async () => {
    const before = await rig.api<{ version: number; status: string }[]>('GET', '/apps/site/releases')
    const image = await push('three')
    await registry.shut()
    const refused = await deploy(image.digest)
    await registry.open()
    expect(refused).toMatchObject({ status: 502, body: { code: 'image-not-published' } })
    expect(refused.body.title).toMatch(
      /^the image was not stored in 127\.0\.0\.1:\d+\/department\/croft\/home-1: the registry 127\.0\.0\.1:\d+ cannot be reached: [^\n]+$/,
    )
    expect(refused.body.suggestion).toContain('deploy again once the registry answers')
    expect((await rig.api<unknown>('GET', '/apps/site/releases')).body).toEqual(before.body)
    const again = await deploy(image.digest)
    expect(again.status, JSON.stringify(again.body)).toBe(202)
    await rig.finish(again.body.deployment as never)
  })

  it('is refused by a node in one line where the registry is slow or answers something else', async () => {
    const image = await push('four')
    await rig.finish((await deploy(image.digest)).body.deployment as never)
    for (const [temper, why] of [
      ['slow', /^the registry 127\.0\.0\.1:\d+ cannot be reached/],
      ['wrong', /answered another manifest than sha256:/],
    ] as const) {
      registry.temper = temper
      const { images, home } = await freshNode(temper)
      await expect(images.ensure('01234567-89ab-7def-8123-456789abcdef', image.digest)).rejects.toThrow(why)
      expect(readdirSync(join(home, 'layers'))).toEqual([])
    }
  })

  it.runIf(isLong)('that nothing needs any more is removed there too', async () => {
    const image = await push('five')
    await rig.finish((await deploy(image.digest)).body.deployment as never)
    const path = `/v2/department/croft/home-1/manifests/${image.digest}`
    const there = () =>
      fetch(`http://${registry.host}${path}`, {
        headers: { accept: TYPE, authorization: `Basic ${btoa(CREDENTIALS)}` },
      })
    expect((await there()).status).toBe(200)
    const { PublishedImages } = await import('../../apps/controller/src/image/published-images.js')
    await rig.service(PublishedImages).forget(image.digest as never)
    expect((await there()).status).toBe(404)
  })
})

function globBlobs(store: string): string[] {
  const root = join(store, 'docker/registry/v2/blobs/sha256')
  return existsSync(root) ? readdirSync(root).flatMap((two) => readdirSync(join(root, two))) : []
}

describe.skipIf(!hasPeers || !isLong)('a platform with a registry of somebody else, over TLS', () => {
  const platform = Platform.at('registry')
  let registry: DockerRegistry
  let credentials: string
  let shop: Repository
  const { ca, server } = makeCertificates('of the department')
  const trusted = process.env['NODE_EXTRA_CA_CERTS']
  let trustedToo: string

  beforeAll(async () => {
    registry = await DockerRegistry.start(CREDENTIALS, server)
    trustedToo = join(registry.folder, 'ca.crt')
    writeFileSync(trustedToo, `${trusted === undefined ? '' : readFileSync(trusted, 'utf8')}\n${ca}`)
    credentials = join(registry.folder, 'credentials')
    writeFileSync(credentials, `${CREDENTIALS}\n`, { mode: 0o600 })
  })
  afterAll(async () => {
    await platform.down()
    platform.remove()
    await registry?.close()
  })
  const options = (): string[] => [
    '--no-example',
    '--registry-url',
    `${registry.origin}/croft`,
    '--registry-credentials-file',
    credentials,
  ]
  /** Starts it on a host that trusts who signed for the registry; what asks later goes by the platform. */
  async function up(...args: string[]): Promise<void> {
    process.env['NODE_EXTRA_CA_CERTS'] = trustedToo
    try {
      await platform.up(...args)
    } finally {
      if (trusted === undefined) delete process.env['NODE_EXTRA_CA_CERTS']
      else process.env['NODE_EXTRA_CA_CERTS'] = trusted
    }
  }

  it('does not start while the registry is away, not trusted or lets nobody in, and says what to do', async () => {
    const untrusted = await platform.up(...options()).catch((error: Error) => error.message)
    expect(untrusted).toMatch(/the certificate of 127\.0\.0\.1:\d+ is not trusted: .*let the host trust who signed it/)
    await registry.shut()
    const away = await up(...options()).catch((error: Error) => error.message)
    expect(away).toMatch(
      /images cannot be published in https:\/\/127\.0\.0\.1:\d+\/croft: the registry \S+ cannot be reached/,
    )
    expect(away).toMatch(/try: check the address and that the registry runs/)
    await registry.open()
    writeFileSync(credentials, 'croft:wrong\n')
    expect(await up(...options()).catch((error: Error) => error.message)).toContain('refuses the credentials')
    writeFileSync(credentials, `${CREDENTIALS}\n`)
    const inArguments = ['--no-example', '--registry-url', `http://croft:secret@${registry.host}/croft`]
    expect(await platform.up(...inArguments).catch((error: Error) => error.message)).toContain(
      'credentials are no part of',
    )
    const far = ['--no-example', '--registry-url', 'http://registry.example/croft']
    expect(await platform.up(...far).catch((error: Error) => error.message)).toContain('--registry-plain-http')
  })

  it('starts, shows it, and publishes what is pushed there', async () => {
    await up(...options())
    const status = (await platform.status()) as unknown as { registry: unknown }
    expect(status.registry).toEqual({ url: `${registry.origin}/croft`, problem: null })
    expect((await platform.croft('status')).stdout).toContain(`images in ${registry.origin}/croft`)
    expect((await platform.croft('doctor')).stdout).toMatch(/ok +registry +images are published in https/)
    shop = await platform.repository('shop', webApp('one'))
    const pushed = await shop.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.output).toMatch(/-----> Publishing the image in 127\.0\.0\.1:\d+\/croft\/[-0-9a-f]{36} +\d+\.\d s/)
    expect((await platform.get('shop')).body).toBe('one')
  })

  it('runs an app again from the registry when every copy of its image is gone', async () => {
    const paths = ['node/layers', 'node/images', 'registry/blobs/sha256'].map((path) => join(platform.folder, path))
    expect((await platform.down('--keep-apps')).code).toBe(0)
    for (const path of paths)
      for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true, force: true })
    await up(...options())
    registry.asked.length = 0
    const restarted = await platform.croft('ps:restart', '-a', 'shop')
    expect(restarted.code, restarted.output).toBe(0)
    expect((await platform.get('shop')).body).toBe('one')
    expect(new Set(registry.asked.filter((one) => /^GET .*\/manifests\/sha256:/.test(one))).size).toBe(1)
    expect(registry.asked.filter((one) => /^GET .*\/blobs\/sha256:/.test(one)).length).toBeGreaterThan(1)
    expect(await shop.deploy(webApp('two'))).toContain('Publishing the image')
    expect((await platform.get('shop')).body).toBe('two')
  })

  it('refuses a push in one line while the registry is down, and the former release serves on', async () => {
    const other = await platform.repository('other', webApp('three'))
    expect((await other.push()).code).toBe(0)
    await registry.shut()
    other.write(webApp('four'))
    await other.commit()
    const refused = await other.push()
    expect(refused.code).not.toBe(0)
    expect(refused.output).toMatch(
      / ! {5}the image was not stored in 127\.0\.0\.1:\d+\/croft\/\S+: the registry 127\.0\.0\.1:\d+ cannot be reached/,
    )
    expect(refused.output).toMatch(/ ! {5}Try: deploy again once the registry answers/)
    expect((await platform.get('other')).body).toBe('three')
    const status = (await platform.status()) as unknown as { ready: boolean; registry: { problem: string } }
    expect(status.ready).toBe(true)
    expect(status.registry.problem).toContain('cannot be reached')
    expect((await platform.croft('doctor')).code).toBe(1)
    await registry.open()
    const pushed = await other.push()
    expect(pushed.code, pushed.output).toBe(0)
    await waitFor(async () => (await platform.get('other')).body === 'four', {
      what: 'the new release',
      timeoutMs: 10_000,
    })
  })

  it('shows the credentials to nobody: not in arguments, logs, nor the state that everybody may read', async () => {
    const [, password = ''] = CREDENTIALS.split(':')
    const found = await command('grep', [
      '-rlF',
      '--',
      password,
      join(platform.folder, 'log'),
      join(platform.folder, 'git'),
    ])
    expect(found.stdout).toBe('')
    const vectors = await command('sh', ['-c', `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '`])
    expect(vectors.stdout).not.toContain(password)
    const run = await command('sh', ['-c', `find /run/croft -name supervisor.json | xargs cat`])
    expect(run.stdout).toContain('registry')
    expect(run.stdout).not.toContain(password)
  })
})
