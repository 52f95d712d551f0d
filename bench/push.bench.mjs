// The claim on incremental pushes: one changed line of examples/node-express, from `git push` to the first answer of the new
// version; beside what a person does with Docker alone, from a Dockerfile that copies the lock file first and from one that does not,
// with the builder that `docker build` of Debian's docker.io is and with BuildKit.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startDocker } from './support/docker-peer.mjs'
import { checkout, command, figures, get, scratch, startPlatform } from './support/tools.mjs'

const ROUNDS = 5
const PORT = 25_080
const DOCKER_FRONT = 25_090
const example = join(checkout, 'examples/node-express')

/** A copy of the app; `write(version)` changes the line that is served at `/version`. */
function copyOfApp(name) {
  const folder = scratch(name)
  cpSync(example, folder, { recursive: true, filter: (path) => !path.includes('node_modules') })
  const text = readFileSync(join(example, 'server.js'), 'utf8')
  return {
    folder,
    write: (version) =>
      writeFileSync(
        join(folder, 'server.js'),
        `${text}\napp.get('/version', (request, response) => response.end('${version}'))\n`,
      ),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

async function croftSide() {
  const platform = await startPlatform('push', PORT)
  const app = copyOfApp('croft')
  const git = (...args) => command('git', args, { cwd: app.folder, env: platform.env })
  await git('init', '-q', '-b', 'main')
  await git('remote', 'add', 'croft', `http://croft.localhost:${PORT}/bench.git`)
  return {
    async deploy(version) {
      app.write(version)
      await git('add', '-A')
      await git('commit', '-q', '-m', version)
      const began = performance.now()
      const pushing = git('push', '-q', 'croft', 'main')
      await Promise.race([
        untilVersion(PORT, `bench.localhost:${PORT}`, version),
        pushing.then(() => new Promise(() => {})),
      ])
      const took = performance.now() - began
      await pushing
      return took
    },
    async close() {
      await platform.close()
      app.remove()
    },
  }
}

async function untilVersion(port, host, version) {
  const end = performance.now() + 120_000
  while (performance.now() < end) {
    if ((await get(port, host, '/version')) === version) return
    await delay(5)
  }
  throw new Error(`${version} did not come up`)
}

function dockerSide(docker, dockerfile, hasBuildKit) {
  const app = copyOfApp(dockerfile)
  const deploy = docker.app({ dockerfile, hasBuildKit, context: app.folder }, (version) =>
    untilVersion(DOCKER_FRONT, 'localhost', version),
  )
  return {
    async deploy(version) {
      app.write(version)
      const began = performance.now()
      const removeFormer = await deploy(version)
      const took = performance.now() - began
      await removeFormer()
      return took
    },
    close: () => app.remove(),
  }
}

/** Milliseconds from the command to the first answer of the new version; `timesFaster` is Docker's median over Croft's. */
export async function bench() {
  const closers = []
  const closed = (side) => {
    closers.unshift(() => side.close())
    return side
  }
  try {
    const docker = closed(await startDocker(DOCKER_FRONT))
    const sides = {
      croft: closed(await croftSide()),
      lockFirst: closed(dockerSide(docker, 'lock-first', false)),
      lockFirstBuildKit: closed(dockerSide(docker, 'lock-first', true)),
      copyAll: closed(dockerSide(docker, 'copy-all', false)),
      copyAllBuildKit: closed(dockerSide(docker, 'copy-all', true)),
    }
    const names = Object.keys(sides)
    const first = {}
    for (const name of names) first[name] = Math.round(await sides[name].deploy(`${name}-0`))
    const taken = Object.fromEntries(names.map((name) => [name, []]))
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const name of names) taken[name].push(await sides[name].deploy(`${name}-${round}`))
    }
    const incremental = Object.fromEntries(names.map((name) => [name, figures(taken[name])]))
    const over = (name) => Math.round((incremental[name].p50 / incremental.croft.p50) * 100) / 100
    const peers = names.filter((name) => name !== 'croft')
    return { unit: 'ms', first, incremental, timesFaster: Object.fromEntries(peers.map((name) => [name, over(name)])) }
  } finally {
    for (const close of closers) await close()
  }
}
