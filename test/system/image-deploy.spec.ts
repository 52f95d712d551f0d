import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { gzipSync } from 'node:zlib'
import { waitFor, type DeploymentId } from '@croft/kit'
import { digestOf, generatedLayerTar } from '@croft/oci'
import type { InstanceStatus } from '@croft/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ControlRig, hostOf, type App } from './support/control-rig.js'
import { ScriptedNode } from './support/scripted-node.js'
import { ScriptedRouter } from './support/scripted-router.js'

/** Images that Croft did not build, pulled over the network from a registry, or pushed: from the API to what a node is told. */

const TYPE = 'application/vnd.oci.image.manifest.v1+json'
let rig: ControlRig
let node: ScriptedNode
let router: ScriptedRouter
let door: Server
/** The registry as a stranger: the controller's own one, at a port it does not know as its own. */
let at: string

beforeAll(async () => {
  rig = await ControlRig.start()
  node = new ScriptedNode(rig.nodeSocket)
  router = new ScriptedRouter(rig.controlSocket)
  await node.start()
  await router.start()
  door = createServer((socket) => {
    const inner = connect(rig.apiSocket)
    socket.on('error', () => inner.destroy()).pipe(inner)
    inner.on('error', () => socket.destroy()).pipe(socket)
  })
  await new Promise<void>((done) => door.listen(0, 'localhost', done))
  at = `localhost:${(door.address() as AddressInfo).port}`
})
afterAll(async () => {
  door?.close()
  await router?.stop()
  await node?.stop()
  await rig?.close()
})

/** One request to the registry as container tools send it. */
async function registry(
  method: string,
  path: string,
  body?: Buffer,
  type = 'application/octet-stream',
): Promise<Response> {
  const answer = await fetch(`http://${at}${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`x:${rig.operatorToken}`).toString('base64')}`,
      'content-type': type,
    },
    ...(body !== undefined && { body: new Uint8Array(body) }),
  })
  expect(answer.ok, `${method} ${path}: ${answer.status}`).toBe(true)
  return answer
}

interface Pushed {
  digest: string
  layer: string
}
/** Pushes an image of one layer to an app. */
async function push(
  app: string,
  tag: string,
  config: object,
  options: { content?: string; diffId?: string; files?: Record<string, string> } = {},
): Promise<Pushed> {
  const more = Object.entries(options.files ?? {}).map(([path, content]) => ({ kind: 'file' as const, path, content }))
  const hello = { kind: 'file' as const, path: '/hello', content: options.content ?? 'hello' }
  const tar = await generatedLayerTar([hello, ...more])
  const upload = async (bytes: Buffer) => {
    const digest = digestOf(bytes)
    await registry('POST', `/v2/${app}/blobs/uploads/?digest=${digest}`, bytes)
    return { digest, size: bytes.length }
  }
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...(await upload(gzipSync(tar))) }
  const document = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: [options.diffId ?? digestOf(tar)] },
  }
  const described = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    ...(await upload(Buffer.from(JSON.stringify(document)))),
  }
  const manifest = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: TYPE, config: described, layers: [layer] }),
  )
  await registry('PUT', `/v2/${app}/manifests/${tag}`, manifest, TYPE)
  return { digest: digestOf(manifest), layer: layer.digest }
}

interface Begun {
  image: string
  release: number
  deployment: DeploymentId
  warnings: string[]
}
const deploy = (app: string, body: object) =>
  rig.api<Begun & { code: string; title: string }>('POST', `/apps/${app}/images`, body)
const login = (host: string, password: string) =>
  rig.api('PUT', `/registries/${encodeURIComponent(host)}`, { username: 'x', password })

describe('deploy --image', () => {
  it('pulls with stored credentials, runs what the image says, and routes to its port', async () => {
    for (const name of ['source', 'site']) await rig.createApp(name)
    const config = {
      Entrypoint: ['/serve'],
      Cmd: ['-v'],
      User: '1000:1000',
      WorkingDir: '/srv',
      ExposedPorts: { '3000/tcp': {} },
      Volumes: { '/data': {} },
    }
    const { digest } = await push('source', 'one', config)
    expect((await deploy('site', { image: `${at}/source:one` })).body.title).toContain('does not let us pull source')
    await login(at, rig.operatorToken)
    const { status, body } = await deploy('site', { image: `${at}/source:one` })
    expect(status, JSON.stringify(body)).toBe(202)
    expect(body).toMatchObject({ image: digest, release: 1, warnings: [expect.stringContaining('/data')] })
    expect(await rig.finish(body.deployment)).toEqual({ state: 'succeeded' })
    const item = [...node.items.values()].find(({ appName }) => appName === 'site')
    expect(item?.spec).toMatchObject({
      kind: 'service',
      image: digest,
      command: ['/serve', '-v'],
      user: '1000:1000',
      dir: '/srv',
      port: 3000,
      env: { PORT: '3000', CROFT_RELEASE: 'v1' },
    })
    await waitFor(() => router.route(hostOf('site'))?.endpoints.length === 1, { what: 'the route', timeoutMs: 5_000 })
    const info = await rig.api<{ description: string }>('GET', '/apps/site/releases/1')
    expect(info.body.description).toBe(`Deploy ${at}/source:one`)
  })

  it('by its digest is not asked for again where all of it is in the app’s repository, and nowhere else', async () => {
    const { digest } = await push('source', 'kept', { Cmd: ['/kept'] }, { content: 'kept' })
    await rig.createApp('keeper')
    const first = await deploy('keeper', { image: `${at}/source@${digest}` })
    expect(await rig.finish(first.body.deployment)).toEqual({ state: 'succeeded' })
    await rig.api('DELETE', `/registries/${encodeURIComponent(at)}`)
    const again = await deploy('keeper', { image: `${at}/source@${digest}` })
    expect([again.status, again.body.image]).toEqual([202, digest])
    expect(await rig.finish(again.body.deployment)).toEqual({ state: 'succeeded' })
    await rig.createApp('stranger')
    expect((await deploy('stranger', { image: `${at}/source@${digest}` })).body.title).toContain('does not let us pull')
    await login(at, rig.operatorToken)
  })

  it('of an app of the same team needs no network, and the digest wins over the tag', async () => {
    const one = await push('source', 'moving', { Cmd: ['/one'] }, { content: 'one' })
    await push('source', 'moving', { Cmd: ['/two'] }, { content: 'two' })
    const { body } = await deploy('site', { image: `localhost:8080/source:moving@${one.digest}`, port: 4000 })
    expect(body.image).toBe(one.digest)
    expect(await rig.finish(body.deployment)).toEqual({ state: 'succeeded' })
    const item = [...node.items.values()].find(({ spec }) => spec.kind === 'service' && spec.image === one.digest)
    expect(item?.spec).toMatchObject({ command: ['/one'], port: 4000, env: { PORT: '4000' } })
  })

  it('has a bill of materials of what its package managers noted', async () => {
    const files = {
      '/etc/os-release': 'ID=alpine\nVERSION_ID=3.20.3\n',
      '/lib/apk/db/installed': 'P:musl\nV:1.2.5-r0\nA:x86_64\n\n',
    }
    await push('source', 'alpine', { Cmd: ['/one'] }, { files })
    const { body } = await deploy('site', { image: 'localhost:8080/source:alpine' })
    expect(await rig.finish(body.deployment)).toEqual({ state: 'succeeded' })
    const bill = await rig.api<object>('GET', `/apps/site/releases/${body.release}/sbom`)
    expect(bill.body).toMatchObject({
      bomFormat: 'CycloneDX',
      components: [
        { type: 'operating-system', name: 'alpine', version: '3.20.3' },
        { name: 'musl', purl: 'pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.3' },
      ],
    })
  })

  it('refuses an image that names another layer than it has: it would be given somebody else’s', async () => {
    const secret = digestOf(await generatedLayerTar([{ kind: 'file', path: '/hello', content: 'secret' }]))
    await push('source', 'liar', { Cmd: ['/x'] }, { content: 'mine', diffId: secret })
    for (const image of [`${at}/source:liar`, 'localhost:8080/source:liar']) {
      expect((await deploy('site', { image })).body).toMatchObject({
        code: 'image-not-pulled',
        title: expect.stringContaining('names another layer than it has') as string,
      })
    }
  })

  it.each([
    ['localhost:8080/missing:one', 'missing'],
    ['localhost:8080/source:none', 'has no image none'],
    ['localhost:1/a:b', 'the registry localhost:1 cannot be reached'],
    ['Not An Image', 'names no image'],
    ['169.254.169.254/latest/meta-data', 'link-local'],
  ])('of %s is one clear line, and makes no release', async (image, why) => {
    const before = (await rig.api<unknown[]>('GET', '/apps/site/releases')).body.length
    const { status, body } = await deploy('site', { image })
    expect([status, body.code]).toEqual([422, 'image-not-pulled'])
    expect(body.title).toContain(why)
    expect((await rig.api<unknown[]>('GET', '/apps/site/releases')).body).toHaveLength(before)
  })

  it('keeps passwords sealed and shows them to nobody', async () => {
    await login('registry.example:5000', 'canary-5ecret')
    const list = await rig.api<{ host: string }[]>('GET', '/registries')
    expect(list.body.map(({ host }) => host)).toContain('registry.example:5000')
    expect(JSON.stringify(list.body)).not.toContain('canary')
    const rows = await rig.dataSource.query<object[]>('SELECT * FROM registry_credential')
    expect(JSON.stringify(rows)).not.toContain('canary')
    expect((await login('not a host', 'x')).status).toBe(400)
    expect((await rig.api('DELETE', '/registries/registry.example%3A5000')).status).toBe(204)
    expect((await rig.api('DELETE', '/registries/registry.example%3A5000')).status).toBe(404)
  })
})

describe('docker push', () => {
  it('to latest deploys where the app wants that, after whatever rolls', async () => {
    await rig.createApp('pushed')
    await push('pushed', 'latest', { Cmd: ['/zero'] })
    expect((await rig.api<unknown[]>('GET', '/apps/pushed/releases')).body).toEqual([])
    await rig.api('PATCH', '/apps/pushed', { deployOnPush: true })
    await push('pushed', 'candidate', { Cmd: ['/no'] })
    await push('pushed', 'latest', { Cmd: ['/one'] })
    const two = await push('pushed', 'latest', { Cmd: ['/two'] })
    await waitFor(
      async () => {
        const { body } = await rig.api<{ image: string; isCurrent: boolean }[]>('GET', '/apps/pushed/releases')
        return body.find(({ isCurrent }) => isCurrent)?.image === two.digest
      },
      { what: 'the last push to serve', timeoutMs: 20_000 },
    )
  })
})

describe('a rebase', () => {
  const other = `sha256:${'1'.repeat(64)}`
  interface Rebased {
    release: number | null
    deployment: DeploymentId | null
    code: string
    title: string
  }
  const answered = new Set<string>()
  /** Asks for a rebase and answers it as the node would. */
  async function rebase(app: App, result: NonNullable<InstanceStatus['build']>): Promise<Rebased> {
    const asked = rig.api<Rebased>('POST', `/apps/${app.name}/rebase`, {})
    const item = await waitFor(
      () =>
        [...node.items.values()].find(
          ({ id, appId, spec }) => appId === app.id && spec.kind === 'build' && !answered.has(id),
        ),
      { what: 'the node to hear of it', timeoutMs: 10_000 },
    )
    answered.add(item.id)
    expect(item.spec).toMatchObject({ kind: 'build', isRebase: true })
    node.say(item.id, { observed: 'exited', build: result })
    return (await asked).body
  }
  const done = (image: string) => ({
    outcome: 'succeeded' as const,
    image,
    processTypes: {},
    newLayers: 1,
    newBytes: 0,
  })
  const serving = async (app: App) =>
    (
      await rig.api<{ version: number; image: string; isCurrent: boolean }[]>('GET', `/apps/${app.name}/releases`)
    ).body.find(({ isCurrent }) => isCurrent)

  it('deploys the image over its new base like any release, and is taken back when it does not become healthy', async () => {
    const app = await rig.createApp('rebased')
    await rig.finish((await rig.release(app, ['web', 'worker'])).id)
    const failing = await (async () => {
      node.behave = ({ releaseVersion }) => (releaseVersion === 2 ? { kind: 'crash' } : { kind: 'ready' })
      return rebase(app, done(other))
    })()
    expect(await rig.finish(failing.deployment as DeploymentId)).toMatchObject({ state: 'failed' })
    expect(await serving(app)).toMatchObject({ version: 1 })
    node.behave = () => ({ kind: 'ready' })
    const good = await rebase(app, done(other))
    expect(await rig.finish(good.deployment as DeploymentId)).toEqual({ state: 'succeeded' })
    expect(await serving(app)).toMatchObject({ version: 3, image: other })
    const { body } = await rig.api('GET', '/apps/rebased/releases/3')
    expect(body).toMatchObject({
      description: 'Rebase of v1',
      processTypes: { web: 'node web.js', worker: 'node worker.js' },
    })
  })

  it('that changes nothing makes no release, and one that is refused says why', async () => {
    const app = await rig.createApp('unrebased')
    expect((await rig.api<Rebased>('POST', '/apps/unrebased/rebase', {})).body.code).toBe('nothing-released')
    await rig.finish((await rig.release(app)).id)
    expect(await rebase(app, done((await serving(app))?.image ?? ''))).toMatchObject({
      release: null,
      deployment: null,
    })
    const refused = {
      outcome: 'failed' as const,
      reason: 'export' as const,
      message: 'libz.so.1 is missing',
      suggestion: 'push',
    }
    expect(await rebase(app, refused)).toMatchObject({
      code: 'not-rebased',
      title: 'unrebased was not rebased: libz.so.1 is missing',
    })
    expect(await serving(app)).toMatchObject({ version: 1 })
  })
})
