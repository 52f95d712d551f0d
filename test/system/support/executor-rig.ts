import type { ChildProcess } from 'node:child_process'
import { appendFile, chown, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { openSync } from 'node:fs'
import { request } from 'node:http'
import { join, resolve } from 'node:path'
import { buildShim, cleanHome, releaseHomeIndex, reserveHomeIndex } from '@croft/backend-linux'
import { start, waitFor } from '@croft/kit'
import { digestOf, encodeConfig, encodeManifest, hexOf, mediaTypes } from '@croft/oci'
import type { DesiredInstance, InstanceStatus, Observed, ServiceSpec } from '@croft/protocol'
import { service } from '../../../apps/executor/src/testing/desired.js'
import { FakeController } from '../../../apps/executor/src/testing/fake-controller.js'
import { makeRigFolder } from './rig-folders.js'
import { makeHostRoot } from './host-root.js'

const MAIN = resolve(import.meta.dirname, '../../../apps/executor/dist/executor.mjs')
const STACK = 'debian-12'
const APP_USER = { name: 'croft', id: 1002 }

/** What a program of a test does: an HTTP server that can be asked to crash, and that says a number now and then. */
export const SERVER = `
  const http = require('node:http')
  let n = 0
  if (process.env.COUNT) setInterval(() => console.log('n=' + n++), 5)
  http.createServer((request, response) => {
    if (request.url === '/crash') process.exit(7)
    response.end(process.pid + ' ' + process.getuid())
  }).listen(Number(process.env.PORT), process.env.BIND)
`

/** An executor as the supervisor starts it: a process of its own over the real backend, and a controller of the test's. */
export class ExecutorRig {
  readonly controller: FakeController
  image = ''
  #child: ChildProcess | undefined

  private constructor(
    readonly home: string,
    readonly k: number,
    private readonly shim: string,
  ) {
    this.controller = new FakeController(join(home, 'run/node/node.sock'))
    this.controller.network = `10.221.${(k % 16) * 16}.0/20`
  }

  static async make(): Promise<ExecutorRig> {
    const home = await makeRigFolder('exec')
    const shim = await buildShim({ cacheDir: join(home, 'cache') })
    const rig = new ExecutorRig(home, await reserveHomeIndex(home), shim)
    await mkdir(join(home, 'run/node'), { recursive: true })
    await rig.#makeImages()
    await rig.controller.listen()
    return rig
  }

  /** Starts the executor, or starts it again. */
  start(...args: string[]): void {
    const log = openSync(join(this.home, 'executor.log'), 'a')
    this.#child = start(process.execPath, ['--enable-source-maps', MAIN, ...args], {
      env: {
        PATH: process.env['PATH'] ?? '',
        CROFT_HOME: this.home,
        CROFT_K: String(this.k),
        CROFT_RUN: join(this.home, 'run'),
        CROFT_CACHE: this.home,
        CROFT_TOOLS: '/nonexistent',
        CROFT_SHIM: this.shim,
        CROFT_BUILDPACKS: '/nonexistent',
        CROFT_PLATFORM_NODE: '/nonexistent',
        CROFT_PLATFORM_NPM: '/nonexistent',
      },
      stdio: ['ignore', log, log],
    })
  }

  /** Ends the executor's process and waits until it is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((done) => child.once('exit', done))
    child.kill(signal)
    await gone
  }

  async close(): Promise<void> {
    await this.end('SIGKILL')
    await this.controller.close()
    await cleanHome({
      index: this.k,
      depotDir: join(this.home, 'node/containers'),
      runDir: join(this.home, 'run/containers'),
      runcRoot: join(this.home, 'run/runc'),
    })
    await releaseHomeIndex(this.home)
    await rm(this.home, { recursive: true, force: true })
  }

  /** An instance whose command is a Node script. */
  web(script = SERVER, spec: Partial<ServiceSpec> = {}): DesiredInstance {
    return service({
      image: this.image,
      command: ['/usr/bin/node', '-e', script],
      graceMs: 5_000,
      health: { kind: 'port', intervalMs: 200, timeoutMs: 1_000 },
      ...spec,
    })
  }

  async observed(
    id: string,
    state: Observed | readonly Observed[],
    also: (status: InstanceStatus) => boolean = () => true,
  ): Promise<InstanceStatus> {
    try {
      return await waitFor(
        () => {
          const status = this.controller.status(id)
          return status !== undefined && [state].flat().includes(status.observed) && also(status) ? status : undefined
        },
        { what: `${id} to be ${[state].flat().join(' or ')}`, timeoutMs: 20_000 },
      )
    } catch (error) {
      const present = JSON.stringify(this.controller.status(id))
      throw new Error(`it is ${present}\n${await this.log()}`, { cause: error })
    }
  }

  /** The end of the executor's log. */
  async log(): Promise<string> {
    return (await readFile(join(this.home, 'executor.log'), 'utf8')).split('\n').slice(-30).join('\n')
  }

  /** What the home still has on this host. */
  async leftovers(): Promise<string[]> {
    const containers = await readdir(join(this.home, 'node/containers')).catch(() => [])
    const links = (await readdir('/sys/class/net')).filter((name) => name.startsWith(`c${this.k}-`))
    return [...containers, ...links]
  }

  /** A base image out of this host's own programs, and an app's image that is nothing but that. */
  async #makeImages(): Promise<void> {
    const diffId = digestOf(`base of ${this.home}`)
    const folder = join(this.home, 'base', STACK, hexOf(diffId))
    const tree = join(folder, 'tree')
    await mkdir(folder, { recursive: true })
    await makeHostRoot(tree)
    await appendFile(join(tree, 'etc/passwd'), `${APP_USER.name}:x:${APP_USER.id}:${APP_USER.id}::/workspace:/bin/sh\n`)
    await appendFile(join(tree, 'etc/group'), `${APP_USER.name}:x:${APP_USER.id}:\n`)
    await mkdir(join(tree, 'workspace'))
    await chown(join(tree, 'workspace'), APP_USER.id, APP_USER.id)
    const base = {
      diffId,
      blobDigest: diffId,
      blobBytes: 1,
      stack: STACK,
      env: { PATH: '/usr/bin:/bin' },
      user: `${APP_USER.id}:${APP_USER.id}`,
      labels: {},
    }
    await writeFile(join(folder, 'image.json'), JSON.stringify(base))
    await symlink(folder, join(this.home, 'base', STACK, 'current'))
    const config = encodeConfig({
      architecture: 'amd64',
      os: 'linux',
      config: { Env: ['PATH=/usr/bin:/bin'], Labels: { 'io.croft.stack': STACK } },
      rootfs: { type: 'layers', diff_ids: [diffId] },
    })
    const layer = { mediaType: mediaTypes.layerZstd, digest: diffId, size: 1 }
    const manifest = encodeManifest(config.descriptor, [layer])
    const images = join(this.home, 'node/images')
    await mkdir(images, { recursive: true, mode: 0o700 })
    const hex = hexOf(manifest.descriptor.digest)
    await writeFile(join(images, `${hex}.manifest.json`), manifest.bytes)
    await writeFile(join(images, `${hex}.config.json`), config.bytes)
    this.image = manifest.descriptor.digest
  }
}

/** One request on a connection of its own. @throws when it is not answered with 200 within a second */
export function ask(address: string | null, path = '/'): Promise<string> {
  return new Promise((done, fail) => {
    const call = request(`http://${address}${path}`, { agent: false, timeout: 1_000 }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('error', fail)
      response.on('end', () => (response.statusCode === 200 ? done(text) : fail(new Error(`${response.statusCode}`))))
    })
    call.on('timeout', () => call.destroy(new Error('timed out')))
    call.on('error', fail)
    call.end()
  })
}
