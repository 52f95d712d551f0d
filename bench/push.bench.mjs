// The README's claim on incremental pushes: one changed line of examples/node-express, from `git push` to the first answer of
// the new version; beside what a person does with Docker alone: build, run, switch a HAProxy server, same app, same run.
import { cpSync, existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { checkout, command, figures, scratch, startPlatform, untilServes } from './support/tools.mjs'

const ROUNDS = 5
const PORT = 25_080
const DOCKER_FRONT = 25_090
const example = join(checkout, 'examples/node-express')
const cache = process.env.CROFT_CACHE ?? '/var/cache/croft'

/** The app with `version` in its answer. */
function writeVersion(folder, version) {
  const text = readFileSync(join(example, 'server.js'), 'utf8')
  writeFileSync(
    join(folder, 'server.js'),
    `${text}\napp.get('/version', (request, response) => response.end('${version}'))\n`,
  )
}

async function croftSide() {
  const platform = await startPlatform('push', PORT)
  const folder = scratch('croft')
  cpSync(example, folder, { recursive: true, filter: (path) => !path.includes('node_modules') })
  const git = (...args) => command('git', args, { cwd: folder, env: platform.env })
  await git('init', '-q', '-b', 'main')
  await git('remote', 'add', 'croft', `http://croft.localhost:${PORT}/bench.git`)
  return {
    async deploy(version) {
      writeVersion(folder, version)
      await git('add', '-A')
      await git('commit', '-q', '-m', version)
      const began = performance.now()
      const pushing = git('push', '-q', 'croft', 'main')
      await Promise.all([pushing, untilVersion(PORT, `bench.localhost:${PORT}`, version)])
      return performance.now() - began
    },
    async close() {
      await platform.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function untilVersion(port, host, version) {
  const { get } = await import('./support/tools.mjs')
  const end = performance.now() + 120_000
  while (performance.now() < end) {
    if ((await get(port, host, '/version')) === version) return
    await delay(5)
  }
  throw new Error(`${version} did not come up`)
}

/** Docker with a data root of its own, no bridge, containers on the host's network; a bare HAProxy in front. */
async function dockerSide() {
  const folder = scratch('docker')
  const socket = join(folder, 'docker.sock')
  const { spawn } = await import('node:child_process')
  const daemon = spawn(
    'dockerd',
    [
      '--data-root',
      join(folder, 'data'),
      '--exec-root',
      join(folder, 'exec'),
      '-H',
      `unix://${socket}`,
      '--pidfile',
      join(folder, 'pid'),
      '--iptables=false',
      '--bridge=none',
    ],
    { stdio: 'ignore' },
  )
  const docker = (args, options) => command('docker', ['-H', `unix://${socket}`, ...args], options)
  for (let tries = 0; ; tries += 1) {
    try {
      await docker(['version'])
      break
    } catch (error) {
      if (tries > 100) throw error
      await delay(100)
    }
  }
  // the same base image as Croft's, with the same Node and npm
  const base = realpathSync(join(cache, 'base/debian-12/current'))
  await command('sh', ['-c', `tar -C ${base}/tree -c . | docker -H unix://${socket} import - base:latest`])
  const context = join(folder, 'app')
  cpSync(example, context, { recursive: true, filter: (path) => !path.includes('node_modules') })
  const nodePackage = join(checkout, `node_modules/node-linux-${process.arch === 'arm64' ? 'arm64' : 'x64'}`)
  cpSync(join(nodePackage, 'bin'), join(context, '.node/bin'), { recursive: true, dereference: true })
  const npm = realpathSync((await command('sh', ['-c', 'readlink -f "$(command -v npm)"'])).trim()).replace(
    /\/bin\/npm-cli\.js$/,
    '',
  )
  cpSync(npm, join(context, '.node/npm'), { recursive: true })
  const npmrc = await command('npm', ['config', 'get', 'registry', '--silent'])
  writeFileSync(join(context, '.npmrc-host'), `registry=${npmrc.trim()}\n`)
  cpSync('/etc/ssl/certs/ca-certificates.crt', join(context, '.ca.crt'))
  writeFileSync(
    join(context, 'Dockerfile'),
    `FROM base:latest
COPY .node /opt/node
COPY .ca.crt /etc/ca.crt
COPY .npmrc-host /root/.npmrc
ENV PATH=/opt/node/bin:/usr/bin:/bin NODE_EXTRA_CA_CERTS=/etc/ca.crt NODE_ENV=production
WORKDIR /workspace
COPY package.json package-lock.json ./
RUN /opt/node/bin/node /opt/node/npm/bin/npm-cli.js ci --no-audit --no-fund
COPY server.js ./
CMD ["node", "server.js"]
`,
  )
  const stats = join(folder, 'haproxy.sock')
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    `global
  stats socket ${stats} level admin
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:${DOCKER_FRONT}
  default_backend b
backend b
  server one 127.0.0.1:25091
`,
  )
  const proxy = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], { stdio: 'ignore' })
  let serial = 0
  return {
    async deploy(version) {
      writeVersion(context, version)
      serial += 1
      const port = 25_091 + (serial % 8)
      const began = performance.now()
      await docker(['build', '-q', '--network', 'host', '-t', `app:${serial}`, context])
      await docker([
        'run',
        '-d',
        '--network',
        'host',
        '-e',
        `PORT=${port}`,
        '--memory',
        '512m',
        '--name',
        `app-${serial}`,
        `app:${serial}`,
      ])
      await untilServes(port, 'localhost', '')
      await runtime(stats, `set server b/one addr 127.0.0.1 port ${port}\n`)
      await untilVersion(DOCKER_FRONT, 'localhost', version)
      const took = performance.now() - began
      if (serial > 1) await docker(['rm', '-f', `app-${serial - 1}`])
      return took
    },
    async close() {
      await docker(['rm', '-f', `app-${serial}`]).catch(() => undefined)
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

function runtime(path, line) {
  return new Promise((done, fail) => {
    const socket = createConnection(path, () => socket.write(line))
    socket
      .on('data', () => undefined)
      .on('end', done)
      .on('error', fail)
  })
}

/** Milliseconds from the command to the first answer of the new version. */
export async function bench() {
  if (!existsSync('/usr/sbin/dockerd'))
    throw new Error("the peer of this bench is Debian's docker.io: apt-get install docker.io")
  const sides = { croft: await croftSide() }
  try {
    sides.docker = await dockerSide()
    const first = { croft: await sides.croft.deploy('v0'), docker: await sides.docker.deploy('v0') }
    const taken = { croft: [], docker: [] }
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const side of Object.keys(taken)) taken[side].push(await sides[side].deploy(`v${round}`))
    }
    const croft = figures(taken.croft)
    const docker = figures(taken.docker)
    return {
      unit: 'ms',
      first,
      incremental: { croft, docker, ratio: Math.round((croft.p50 / docker.p50) * 100) / 100 },
    }
  } finally {
    for (const side of Object.values(sides)) await side.close()
  }
}
