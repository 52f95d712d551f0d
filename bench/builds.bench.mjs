// The claims on builds: a one-line change, an identical tree and one more dependency in a Node app of some fifty packages, beside npm's own
// time for that dependency; a neighbour's latency beside six poison builds, and how soon these are gone; a rollback and a rebase under load.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { load, loadFromOutside } from './support/load.mjs'
import { NEXT_BASE_FILE, nextBase, pinOf } from './support/next-base.mjs'
import { checkout, command, figures, get, scratch, startPlatform, untilServes } from './support/tools.mjs'

const PORT = 25_380
const ROUNDS = 10
/** Small, without dependencies of their own, and in nobody's tree yet. */
const ADDED = ['nanoid@5', 'kleur@4', 'mitt@3', 'dequal@2', 'clsx@2']
const LOAD_SECONDS = 10
const STACK = 'debian-12'
const EXAMPLE = join(checkout, 'examples/node-express')

/** An app that prints `version` at `/`. */
const plainApp = (version, scripts = {}) => ({
  'package.json': JSON.stringify({
    name: 'bench',
    version: '1.0.0',
    engines: { node: '24' },
    scripts: { ...scripts, start: 'node server.js' },
  }),
  'server.js': `require('node:http').createServer((q, a) => a.end('${version}')).listen(process.env.PORT)\n`,
})

/** A working copy whose pushes are timed. */
async function workingCopy(platform, app) {
  const folder = scratch(app)
  const git = (...args) => command('git', args, { cwd: folder, env: platform.env })
  await git('init', '-q', '-b', 'main')
  await git('remote', 'add', 'croft', `http://croft.localhost:${PORT}/${app}.git`)
  return {
    folder,
    write(files) {
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    },
    /** Begins to push what was written by now, in a process group of its own, all of which Ctrl-C would reach. */
    startPush() {
      for (const args of [
        ['add', '-A'],
        ['commit', '-q', '--allow-empty', '-m', 'bench'],
      ])
        spawnSync('git', args, { cwd: folder, env: { ...process.env, ...platform.env } })
      const env = { ...process.env, ...platform.env }
      return spawn('git', ['push', 'croft', 'main'], {
        cwd: folder,
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
        detached: true,
      })
    },
    /**
     * Commits and pushes: milliseconds to the image, to the first answer at `/version` that is `version` (undefined: nobody looks), and
     * to the end of the command.
     */
    async push(version) {
      await git('add', '-A')
      await git('commit', '-q', '--allow-empty', '-m', 'bench')
      const began = performance.now()
      const pushing = spawn('git', ['push', 'croft', 'main'], {
        cwd: folder,
        env: { ...process.env, ...platform.env },
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      let said = ''
      let imageMs
      pushing.stderr.on('data', (chunk) => {
        said += chunk
        if (imageMs === undefined && said.includes('-----> Releasing')) imageMs = performance.now() - began
      })
      const ended = new Promise((done) => pushing.once('close', (code) => done({ code, at: performance.now() })))
      const liveAt = version === undefined ? undefined : await served(`${app}.localhost:${PORT}`, version, ended)
      const { code, at } = await ended
      if (code !== 0) throw new Error(`git push failed:\n${said}`)
      return { imageMs, liveMs: liveAt - began, endMs: at - began }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const p99 = (values) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * 0.99)]
const rounded = (value) => Math.round(value * 100) / 100

/** When `host` answered at `/version` with `version`, or when it was clear that it will not. */
async function served(host, version, ended) {
  let isOver = false
  const over = ended.then(() => (isOver = true))
  for (let looks = 0; !isOver || looks < 100; looks += 1) {
    if ((await get(PORT, host, '/version')) === version) return performance.now()
    await Promise.race([over, delay(5)])
  }
  return Number.NaN
}

/** Does something when the version before the present one has been stopped: nobody pushes at that moment. */
async function rested(task) {
  await delay(500)
  return task()
}

async function incremental(platform) {
  const copy = await workingCopy(platform, 'bench-express')
  cpSync(EXAMPLE, copy.folder, { recursive: true, filter: (path) => !path.includes('node_modules') })
  const server = readFileSync(join(EXAMPLE, 'server.js'), 'utf8')
  try {
    const change = async (version) => {
      copy.write({
        'server.js': `${server}\napp.get('/version', (request, response) => response.send('${version}'))\n`,
      })
      return rested(() => copy.push(version))
    }
    await copy.push()
    await change('first')
    const changed = []
    const same = []
    for (let round = 0; round < ROUNDS; round += 1) {
      changed.push(await change(`round ${round}`))
      same.push(await rested(() => copy.push()))
    }
    const packages = Object.keys(
      JSON.parse(readFileSync(join(copy.folder, 'package-lock.json'), 'utf8')).packages,
    ).length
    // npm's own time: the same change in a folder that has everything else installed
    const own = scratch('npm')
    cpSync(copy.folder, own, { recursive: true, filter: (path) => !path.includes('.git') })
    const npm = (...args) => command('npm', [...args, '--no-audit', '--no-fund'], { cwd: own })
    await npm('ci')
    const pushed = []
    const npmAlone = []
    for (const name of ADDED) {
      const began = performance.now()
      await npm('install', name)
      npmAlone.push(performance.now() - began)
      for (const file of ['package.json', 'package-lock.json']) cpSync(join(own, file), join(copy.folder, file))
      pushed.push(await rested(() => copy.push()))
    }
    rmSync(own, { recursive: true, force: true })
    return {
      packages: packages - 1,
      oneLine: {
        toImage: figures(changed.map(({ imageMs }) => imageMs)),
        toLive: figures(changed.map(({ liveMs }) => liveMs)),
        toEnd: figures(changed.map(({ endMs }) => endMs)),
      },
      sameTree: {
        toImage: figures(same.map(({ imageMs }) => imageMs)),
        toEnd: figures(same.map(({ endMs }) => endMs)),
      },
      oneMoreDependency: { toImage: figures(pushed.map(({ imageMs }) => imageMs)), npmAlone: figures(npmAlone) },
    }
  } finally {
    copy.remove()
  }
}

/**
 * Builds that would take all they can get. `reached` tells in what the push shows that a limit is met, the last such line counts;
 * `fillsBytes` is the limit of memory, which the kernel tells of. One without either is left by its pusher after some seconds, for its
 * limit is the time.
 */
const POISONS = {
  'endless loop': { script: 'for n in 1 2 3 4; do (while :; do :; done) & done; wait' },
  'fork bomb': { script: 'bomb() { bomb | bomb & }; bomb; sleep 600', reached: /fork/ },
  memory: { script: 'tail /dev/zero', fillsBytes: 2 * 1024 ** 3 },
  disk: {
    script: 'for n in $(seq 40); do head -c 128M /dev/zero > big.$n; echo wrote $((n * 128)); done; sleep 600',
    reached: /wrote (3[89]|4)\d\d/,
  },
  'log flood': { script: 'yes flood', reached: /flood/ },
  'ignoring SIGTERM': { script: "trap '' TERM INT HUP; while :; do :; done" },
}

/** The containers of a home that builds run in, or may: those that the kernel has idle, on either version of cgroups. */
const idleGroups = (home) => {
  const [k] = readFileSync(join(home, 'k'), 'utf8').split(' ')
  return globSync(`/sys/fs/cgroup/{cpu/,}croft/${k}/*/cpu.idle`).filter((file) => {
    try {
      return readFileSync(file, 'utf8').trim() === '1'
    } catch {
      return false // it has just gone
    }
  })
}

/** Whether a container of a home uses so much memory, all but a twentieth. */
const isFull = (home, bytes) => {
  const [k] = readFileSync(join(home, 'k'), 'utf8').split(' ')
  const files = globSync(`/sys/fs/cgroup/{memory/croft/${k}/*/memory.usage_in_bytes,croft/${k}/*/memory.current}`)
  return files.some((file) => {
    try {
      return Number(readFileSync(file, 'utf8')) > bytes * 0.95
    } catch {
      return false // it has just gone
    }
  })
}

/** Pushes a poison build: how it ended, and the ms from its limit, or from its pusher's leaving, until nothing of it was left. */
async function poisoned(platform, copy, { script, reached, fillsBytes }) {
  const spare = idleGroups(platform.home) // of the app that was built last, which this is not
  copy.write({ ...plainApp(`poison ${Math.random()}`, { build: 'bash poison.sh' }), 'poison.sh': `${script}\n` })
  const pushing = copy.startPush()
  let said = ''
  let fromMs
  pushing.stderr.on('data', (chunk) => {
    said += chunk
    if (reached?.test(chunk)) fromMs = performance.now()
  })
  const closed = new Promise((done) => pushing.once('close', done))
  if (fillsBytes !== undefined) {
    while (pushing.exitCode === null && !isFull(platform.home, fillsBytes)) await delay(10)
    fromMs = performance.now()
  } else if (reached === undefined) {
    await delay(LOAD_SECONDS * 1_000)
    fromMs = performance.now()
    process.kill(-pushing.pid, 'SIGINT')
  }
  if ((await closed) === 0) throw new Error(`a poison build succeeded:\n${said}`)
  while (idleGroups(platform.home).some((group) => !spare.includes(group))) await delay(5)
  return { toldOf: / !     (.+)/.exec(said)?.[1]?.trim() ?? null, goneMs: Math.round(performance.now() - fromMs) }
}

/** The latency of one app alone, and beside each of six poison builds: in turn, after a first second each time. */
async function neighbour(platform) {
  const quiet = await workingCopy(platform, 'bench-quiet')
  const busy = await workingCopy(platform, 'bench-busy')
  const target = { port: PORT, host: `bench-quiet.localhost:${PORT}`, perSecond: 200 }
  try {
    quiet.write(plainApp('quiet'))
    await quiet.push()
    const rounds = []
    for (const [name, poison] of Object.entries(POISONS)) {
      const alone = await loadFromOutside(target, delay(LOAD_SECONDS * 1_000))
      let ended
      const beside = await loadFromOutside(
        target,
        poisoned(platform, busy, poison).then((end) => (ended = end)),
      )
      rounds.push({
        poison: name,
        ...ended,
        aloneMs: rounded(p99(alone.latencies)),
        besideMs: rounded(p99(beside.latencies)),
        failed: alone.failed + beside.failed,
      })
    }
    const median = (of) => figures(rounds.map(of)).p50
    const [aloneMs, besideMs] = [median((round) => round.aloneMs), median((round) => round.besideMs)]
    return { unit: 'ms, p99 at 200 requests a second', rounds, aloneMs, besideMs, ratio: rounded(besideMs / aloneMs) }
  } finally {
    quiet.remove()
    busy.remove()
  }
}

/** Milliseconds of a change of an app at 200 requests a second, until it answers with `text`, and how many failed meanwhile. */
async function underLoad(host, change, text) {
  let tookMs
  const changed = (async () => {
    const began = performance.now()
    await change()
    tookMs = performance.now() - began
    await untilServes(PORT, host, text)
    await delay(1_000)
  })()
  const { failed } = await load({ port: PORT, host, perSecond: 200 }, changed)
  return { tookMs, failed }
}

const failures = (rounds) => rounds.reduce((sum, { failed }) => sum + failed, 0)

/** From the command to its end, when the older release serves; the start of the app is in it. */
async function rollback(platform) {
  const copy = await workingCopy(platform, 'bench-back')
  try {
    for (const version of ['one', 'two']) {
      copy.write(plainApp(version))
      await copy.push()
    }
    const rounds = []
    for (let round = 0; round < 5; round += 1) {
      const [target, text] = round % 2 === 0 ? ['v1', 'one'] : ['v2', 'two']
      const back = () => command('./croft', ['rollback', target, '-a', 'bench-back', '--home', platform.home])
      rounds.push(await underLoad(`bench-back.localhost:${PORT}`, back, text))
    }
    return { took: figures(rounds.map(({ tookMs }) => tookMs)), failed: failures(rounds) }
  } finally {
    copy.remove()
  }
}

/** The same for a rebase, onto another base image and back. The first of them brings that image into the registry. */
async function rebase(platform, base) {
  const copy = await workingCopy(platform, 'bench-base')
  try {
    copy.write({
      ...plainApp(''),
      'server.js': `const base = require('node:fs').existsSync('${NEXT_BASE_FILE}') ? 'next' : 'former'
require('node:http').createServer((q, a) => a.end(base)).listen(process.env.PORT)\n`,
    })
    await copy.push()
    const pin = pinOf(platform.home, STACK)
    const former = pin.hex()
    const rounds = []
    for (let round = 0; round < 6; round += 1) {
      const [hex, text] = round % 2 === 0 ? [base.hex, 'next'] : [former, 'former']
      pin.set(hex)
      const swap = () => command('./croft', ['rebase', '-a', 'bench-base', '--home', platform.home])
      rounds.push(await underLoad(`bench-base.localhost:${PORT}`, swap, text))
    }
    const [first, ...rest] = rounds.map(({ tookMs }) => tookMs)
    return { firstOntoIt: rounded(first), took: figures(rest), failed: failures(rounds) }
  } finally {
    copy.remove()
  }
}

/** `bin/detect` of each of Croft's buildpacks over an app that is its own: the process and all, on this host. */
function detection() {
  const apps = {
    apt: { Aptfile: 'hello\n' },
    node: plainApp(''),
    php: { 'index.php': '<?php\n' },
    procfile: { Procfile: 'web: true\n' },
    python: { 'requirements.txt': readFileSync(join(checkout, 'examples/python-django/requirements.txt'), 'utf8') },
    ruby: { Gemfile: '' },
    static: { 'index.html': '' },
  }
  return Object.fromEntries(
    Object.entries(apps).map(([name, files]) => {
      const folder = scratch('detect')
      for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
      const program = join(checkout, 'buildpacks', name, 'bin/detect')
      const env = { PATH: '/usr/bin:/bin', CNB_BUILD_PLAN_PATH: join(folder, 'plan'), CNB_PLATFORM_DIR: folder }
      const took = Array.from({ length: 50 }, () => {
        const began = performance.now()
        const { status } = spawnSync(program, { cwd: folder, env })
        if (status !== 0) throw new Error(`${program} ended with ${status}`)
        return performance.now() - began
      })
      rmSync(folder, { recursive: true, force: true })
      return [name, figures(took)]
    }),
  )
}

/** Milliseconds; ratios where a peer ran. */
export async function bench() {
  const platform = await startPlatform('builds', PORT)
  let base
  try {
    const results = {
      unit: 'ms',
      incremental: await incremental(platform),
      neighbour: await neighbour(platform),
      rollback: await rollback(platform),
    }
    base = await nextBase(STACK) // the builds have brought the present one
    return { ...results, rebase: await rebase(platform, base), detection: detection() }
  } finally {
    await platform.close().finally(() => base?.remove()) // instances stood on it
  }
}
