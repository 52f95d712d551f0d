// What a person does with Docker alone: build, run, switch a server of HAProxy, remove the former container.
import { spawn } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { checkout, command, scratch, untilServes } from './tools.mjs'

const cache = process.env.CROFT_CACHE ?? '/var/cache/croft'
const NODE_PACKAGE = join(checkout, `node_modules/node-linux-${process.arch === 'arm64' ? 'arm64' : 'x64'}`)

/**
 * Docker with a data root of its own, no bridge and containers on the host's network (which spares it what Croft does for every
 * instance) and a bare HAProxy on `frontPort`. `app` deploys from one Dockerfile of bench/docker.
 */
export async function startDocker(frontPort) {
  if (!existsSync('/usr/sbin/dockerd'))
    throw new Error("the peer of this bench is Debian's docker.io: apt-get install --no-install-recommends docker.io")
  const folder = scratch('docker')
  const socket = join(folder, 'docker.sock')
  const where = [
    '--data-root',
    join(folder, 'data'),
    '--exec-root',
    join(folder, 'exec'),
    '--pidfile',
    join(folder, 'pid'),
  ]
  const daemon = spawn('dockerd', [...where, '-H', `unix://${socket}`, '--iptables=false', '--bridge=none'], {
    stdio: 'ignore',
  })
  // Debian's own client, whatever else is installed: it has BuildKit built in
  const docker = (args, { hasBuildKit = true, ...options } = {}) =>
    command('/usr/bin/docker', ['-H', `unix://${socket}`, ...args], {
      ...options,
      env: { DOCKER_BUILDKIT: hasBuildKit ? '1' : '0' },
    })
  const untilUp = async () => {
    for (let tries = 0; ; tries += 1) {
      try {
        return await docker(['version'])
      } catch (error) {
        if (tries > 100) throw error
        await delay(100)
      }
    }
  }
  const stats = join(folder, 'haproxy.sock')
  writeFileSync(join(folder, 'haproxy.cfg'), proxyConfig(stats, frontPort))
  try {
    await untilUp()
    await makeBase(docker, folder)
  } catch (error) {
    daemon.kill('SIGTERM')
    throw error
  }
  const proxy = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], { stdio: 'ignore' })
  const running = new Set()
  let serial = 0
  return {
    /** How an app in `context` is deployed by `<dockerfile>.Dockerfile`: resolves once the front answers with the new version. */
    app({ dockerfile, hasBuildKit, context }, untilVersion) {
      copyFileSync(join(checkout, `bench/docker/${dockerfile}.Dockerfile`), join(context, 'Dockerfile'))
      let former
      return async (version) => {
        serial += 1
        const [tag, port] = [`${dockerfile}-${hasBuildKit}:${serial}`, frontPort + 1 + (serial % 32)]
        await docker(['build', '-q', '--network', 'host', '-t', tag, context], { hasBuildKit })
        const how = ['--network', 'host', '-e', `PORT=${port}`, '--memory', '512m', '--name', `app-${serial}`]
        await docker(['run', '-d', ...how, tag])
        running.add(`app-${serial}`)
        await untilServes(port, 'localhost', '')
        await tellProxy(stats, `set server b/one addr 127.0.0.1 port ${port}\n`)
        await untilVersion(version)
        const gone = former
        former = `app-${serial}`
        return async () => {
          if (gone === undefined) return
          await docker(['rm', '-f', gone])
          running.delete(gone)
        }
      }
    },
    async close() {
      for (const name of running) await docker(['rm', '-f', name]).catch(() => undefined)
      proxy.kill('SIGKILL')
      const gone = new Promise((done) => daemon.once('exit', done))
      daemon.kill('SIGTERM')
      await gone
      // dockerd leaves the network namespace of its containers mounted
      await command('umount', [join(folder, 'exec/netns/default')]).catch(() => undefined)
      await command('rm', ['-rf', '--one-file-system', folder])
    },
  }
}

/** `base:latest`: Croft's own Debian with the same Node and npm, the host's certificates and registry. */
async function makeBase(docker, folder) {
  const stack = realpathSync(join(cache, 'base/debian-12/current'))
  const raw = spawn('tar', ['-C', `${stack}/tree`, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] })
  await docker(['import', '-', 'raw:latest'], { input: raw.stdout })
  const context = join(folder, 'base')
  mkdirSync(context)
  cpSync(join(NODE_PACKAGE, 'bin'), join(context, 'node/bin'), { recursive: true, dereference: true })
  const npm = realpathSync((await command('which', ['npm'])).trim()).replace(/\/bin\/npm-cli\.js$/, '')
  cpSync(npm, join(context, 'node/npm'), { recursive: true })
  const registry = await command('npm', ['config', 'get', 'registry', '--silent'])
  writeFileSync(join(context, 'npmrc'), `registry=${registry.trim()}\n`)
  copyFileSync('/etc/ssl/certs/ca-certificates.crt', join(context, 'ca.crt'))
  writeFileSync(
    join(context, 'Dockerfile'),
    `FROM raw:latest
COPY node /opt/node
COPY ca.crt /etc/ca.crt
COPY npmrc /root/.npmrc
RUN rm -f /opt/node/bin/npm && ln -s ../npm/bin/npm-cli.js /opt/node/bin/npm && chmod 755 /opt/node/npm/bin/npm-cli.js
ENV PATH=/opt/node/bin:/usr/bin:/bin NODE_EXTRA_CA_CERTS=/etc/ca.crt
`,
  )
  await docker(['build', '-q', '--network', 'host', '-t', 'base:latest', context])
  rmSync(context, { recursive: true, force: true })
}

const proxyConfig = (stats, port) => `global
  stats socket ${stats} level admin
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server one 127.0.0.1:${port + 1}
`

function tellProxy(path, line) {
  return new Promise((done, fail) => {
    const socket = createConnection(path, () => socket.write(line))
    socket
      .on('data', () => undefined)
      .on('end', done)
      .on('error', fail)
  })
}
