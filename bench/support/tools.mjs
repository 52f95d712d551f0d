// What the benches share: commands, figures, a platform of their own.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export const checkout = resolve(import.meta.dirname, '../..')

/** Runs a command to its end; throws with its output when it fails. */
export function command(file, args, options = {}) {
  return new Promise((done, fail) => {
    const child = spawn(file, args, {
      cwd: checkout,
      stdio: ['pipe', 'pipe', 'pipe'],
      ...options,
      env: { ...process.env, ...options.env },
    })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    child.stdin.on('error', () => undefined) // the exit code says why it stopped reading
    if (options.input?.pipe) options.input.pipe(child.stdin)
    else child.stdin.end(options.input ?? '')
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 300_000)
    child.on('error', fail)
    child.on('close', (code) => {
      clearTimeout(timer)
      if (code === 0) done(output)
      else fail(new Error(`${file} ${args.join(' ')} failed (${code}):\n${output.slice(-3_000)}`))
    })
  })
}

/** Median, 95th percentile, smallest and largest of some figures. */
export function figures(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const round = (value) => Math.round(value * 10) / 10
  return {
    p50: round(sorted[Math.floor((sorted.length - 1) / 2)]),
    p95: round(sorted[Math.floor((sorted.length - 1) * 0.95)]),
    min: round(sorted[0]),
    max: round(sorted.at(-1)),
    n: sorted.length,
  }
}

/** One GET; the body, or undefined when nobody answers 200. */
export function get(port, host, path = '/') {
  return new Promise((done) => {
    const sent = request(
      { host: '127.0.0.1', port, path, headers: { host }, agent: false, timeout: 5_000 },
      (response) => {
        let body = ''
        response.on('data', (chunk) => (body += chunk))
        response.on('end', () => done(response.statusCode === 200 ? body : undefined))
        response.on('error', () => done(undefined))
      },
    )
    sent.on('timeout', () => sent.destroy())
    sent.on('error', () => done(undefined))
    sent.end()
  })
}

/** Looks every few milliseconds until the answer holds `text`. */
export async function untilServes(port, host, text, timeoutMs = 60_000) {
  const end = performance.now() + timeoutMs
  while (performance.now() < end) {
    if ((await get(port, host))?.includes(text)) return
    await delay(5)
  }
  throw new Error(`${host} did not answer with ${text} within ${timeoutMs} ms`)
}

/** A platform under its own home, taken down again by `close`. */
export async function startPlatform(name, httpPort) {
  const home = `/var/tmp/croft-bench-${name}`
  const ports = ['--http-port', `${httpPort}`, '--https-port', `${httpPort + 1}`, '--ssh-port', `${httpPort + 2}`]
  const up = () => command('./croft', ['up', '--detach', '--no-example', '--home', home, ...ports])
  const down = () => command('./croft', ['down', '--yes', '--home', home])
  await up()
  const env = {
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: `credential.http://croft.localhost:${httpPort}.helper`,
    GIT_CONFIG_VALUE_0: `!f() { test "$1" = get && printf 'username=git\\npassword=%s\\n' "$CROFT_BENCH_TOKEN"; }; f`,
    CROFT_BENCH_TOKEN: readFileSync(join(home, 'operator-token'), 'utf8').trim(),
    GIT_AUTHOR_NAME: 'Bench',
    GIT_AUTHOR_EMAIL: 'bench@example.org',
    GIT_COMMITTER_NAME: 'Bench',
    GIT_COMMITTER_EMAIL: 'bench@example.org',
  }
  return {
    home,
    env,
    httpPort,
    up,
    down,
    async close() {
      await down()
      await command('rm', ['-rf', '--one-file-system', home])
    },
  }
}

/** A new empty folder that the operating system clears away. */
export const scratch = (name) => mkdtempSync(join(tmpdir(), `croft-bench-${name}-`))
