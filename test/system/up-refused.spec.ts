import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkout, command, type CommandResult } from './support/platform.js'

const isLong = process.env['CROFT_TEST_LONG'] !== undefined

/** What `croft up` answers to a host, a home or options it cannot work with: one line, the remedy, and nothing made. */

const PORT = 22_090
let folder: string
let home: string
let squatter: Server

beforeAll(async () => {
  folder = mkdtempSync('/var/tmp/croft-refused-')
  chmodSync(folder, 0o755)
  home = join(folder, 'home')
  squatter = createServer()
  await new Promise<void>((resolve) => squatter.listen({ host: '127.0.0.1', port: PORT + 5 }, resolve))
})
afterAll(() => {
  squatter.close()
  rmSync(folder, { recursive: true, force: true })
})

const ports = (port = PORT): string[] => [
  '--http-port',
  String(port),
  '--https-port',
  String(port + 1),
  '--ssh-port',
  String(port + 2),
]
const up = (...args: string[]): Promise<CommandResult> => upWith({}, ...args)
const upWith = (env: Record<string, string>, ...args: string[]): Promise<CommandResult> =>
  command(join(checkout, 'croft'), ['up', '--detach', ...ports(), '--home', home, ...args], { timeoutMs: 60_000, env })
/** A registry that refuses connections, and an npm that does not ask it again. */
const noRegistry = { npm_config_registry: 'http://127.0.0.1:1', npm_config_fetch_retries: '0' }

/**
 * Runs what follows its first argument on this host as it would be without a package and with sources nobody answers for. What is
 * changed in the folders that packages belong to stays in memory; the first argument is where their listings go.
 */
const ON_A_HOST_WITHOUT_PACKAGES = `
layers=$1/layers; mkdir "$layers"; mount -t tmpfs layers "$layers"
for folder in /etc /usr/sbin /var/lib/apt /var/lib/dpkg; do
  layer=$layers/$(echo "$folder" | tr / _); mkdir -p "$layer/upper" "$layer/work"
  mount -t overlay -o "lowerdir=$folder,upperdir=$layer/upper,workdir=$layer/work" overlay "$folder"
done
: >/var/lib/dpkg/status
rm -rf /var/lib/apt/lists /etc/apt; mkdir -p /etc/apt /var/lib/apt/lists/partial
echo 'deb http://127.0.0.1:1/debian bookworm main' >/etc/apt/sources.list
folder=$1; shift
list() { find /etc/systemd /usr/sbin | sort; }
list >"$folder/before"
code=0; "$@" || code=$?
list >"$folder/after"
exit "$code"
`

/** One error line and one with the remedy; finished steps may stand before them. */
function expectRefusal(result: CommandResult, code: number, ...texts: string[]): void {
  expect(result.code, result.output).toBe(code)
  const lines = result.output
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('-----> '))
  expect(lines[0]).toMatch(/^croft: /)
  expect(lines.length, result.output).toBeLessThanOrEqual(2)
  for (const text of texts) expect(result.output).toContain(text)
}

describe('croft up refuses, with the remedy and nothing half-made,', () => {
  it('a port that somebody else holds, naming who', async () => {
    const result = await up(...ports(PORT + 5))
    expectRefusal(
      result,
      1,
      `port ${PORT + 5} on 127.0.0.1 is in use by`,
      `(pid ${process.pid})`,
      'try: ',
      '--http-port',
    )
    expect(existsSync(home)).toBe(false)
  })

  it('package sources that cannot be reached', async () => {
    /* what an earlier set-up of this checkout did stays recorded; this one adds nothing */
    const record = join(checkout, '.croft-setup/host-changes')
    const recorded = (): string => (existsSync(record) ? readFileSync(record, 'utf8') : '')
    const changes = recorded()
    const before = performance.now()
    const result = await command(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-euc', ON_A_HOST_WITHOUT_PACKAGES, 'sh', folder].concat(
        [join(checkout, 'croft'), 'up', '--detach', ...ports()],
        ['--home', home],
      ),
      { timeoutMs: 60_000 },
    )
    expectRefusal(
      result,
      1,
      'apt cannot reach its package sources: http://127.0.0.1:1/debian/',
      'try: check the network',
      'host.log',
    )
    expect(performance.now() - before).toBeLessThan(30_000)
    expect(existsSync(home)).toBe(false)
    expect(readFileSync(join(folder, 'after'), 'utf8')).toBe(readFileSync(join(folder, 'before'), 'utf8'))
    expect(recorded()).toBe(changes)
  })

  it('a domain that is none', async () => {
    expectRefusal(await up('--domain', 'my_apps'), 2, '--domain is no domain name: my_apps')
    expectRefusal(await up('--domain', '10.1.2.3'), 2, 'must be a name, not an address')
    expect(existsSync(home)).toBe(false)
  })

  it('an address this host does not have', async () => {
    expectRefusal(await up('--listen', '198.51.100.7'), 1, '198.51.100.7 is no address of this host', '--listen')
    expect(existsSync(home)).toBe(false)
  })

  it('anybody but root', async () => {
    const nobody = ['--reuid=nobody', '--regid=nogroup', '--clear-groups', '--']
    const typed = [join(checkout, 'croft'), 'up', '--detach', '--home', home]
    const result = await command('/usr/bin/setpriv', [...nobody, ...typed, ...ports()])
    expectRefusal(result, 1, 'needs root', 'try: sudo')
    expect(existsSync(home)).toBe(false)
  })

  it("a folder with somebody else's files", async () => {
    const other = join(folder, 'photos')
    mkdirSync(other)
    writeFileSync(join(other, 'cat.jpg'), '')
    expectRefusal(await up('--home', other), 1, 'no Croft home', 'try: ')
    expect(existsSync(join(other, 'id'))).toBe(false)
  })

  it('a home whose id is damaged', async () => {
    const damaged = join(folder, 'damaged')
    mkdirSync(damaged)
    writeFileSync(join(damaged, 'id'), '\0\0\0\0')
    expectRefusal(await up('--home', damaged), 1, 'is damaged', 'backup')
  })

  it("a home its components' users could not reach, with the chmod to type", async () => {
    const closed = join(folder, 'closed')
    mkdirSync(closed, { mode: 0o700 })
    expectRefusal(await up('--home', join(closed, 'home')), 1, `chmod o+x ${closed}`)
    expect(existsSync(join(closed, 'home'))).toBe(false)
  })

  it('a kernel that does not let it make namespaces', async () => {
    const root = join(folder, 'root')
    mkdirSync(root)
    // a chroot is such a place; it and its mount end with the command
    const enter = 'mount --rbind / "$0" && exec chroot "$0" "$@"'
    const typed = [join(checkout, 'croft'), 'up', '--detach', '--home', home, ...ports()]
    const result = await command('unshare', ['--mount', 'sh', '-c', enter, root, ...typed])
    expectRefusal(result, 1, 'namespaces cannot be made here', 'try: use a virtual machine')
    expect(existsSync(home)).toBe(false)
  })

  it.runIf(isLong)('a database that is damaged, and leaves it as it is', async () => {
    const damaged = join(folder, 'damaged-database')
    mkdirSync(join(damaged, 'pg/data'), { recursive: true })
    writeFileSync(join(damaged, 'id'), `${randomUUID()}\n`)
    writeFileSync(join(damaged, 'pg/data/PG_VERSION'), 'nonsense')
    // and says nothing of how a set-up ended that another command has begun
    const setup = join(folder, 'set-up')
    mkdirSync(setup)
    writeFileSync(join(setup, 'host.result'), 'the set-up of another command failed\nleave it alone\n')
    const result = await upWith({ CROFT_HOST_SETUP: setup }, '--home', damaged)
    expectRefusal(result, 1, 'the postgres does not start', `${damaged}/log/postgres.log`, `restore ${damaged} from`)
    expect(readFileSync(join(damaged, 'pg/data/PG_VERSION'), 'utf8')).toBe('nonsense')
    expect(existsSync(join(damaged, 'k'))).toBe(false)
  })

  it.runIf(process.env['CROFT_TEST_LONG'] !== undefined)(
    "a host without the apps' npm whose registry cannot be reached",
    async () => {
      const cache = join(folder, 'cache')
      mkdirSync(cache)
      symlinkSync(join(process.env['CROFT_CACHE'] ?? '/var/cache/croft', 'base'), join(cache, 'base'))
      const result = await upWith({ ...noRegistry, CROFT_CACHE: cache })
      expectRefusal(
        result,
        1,
        "npm for the apps' builds could not be fetched",
        '127.0.0.1:1',
        'try: check that the npm',
      )
      expect(existsSync(home)).toBe(false)
    },
  )

  it('a checkout without its packages whose registry cannot be reached', async () => {
    const fresh = join(folder, 'checkout')
    const isSource = (path: string): boolean => !/\/(node_modules|dist|\.git|\.croft-setup)$/.test(path)
    cpSync(checkout, fresh, { recursive: true, filter: isSource })
    const typed = ['up', '--detach', '--home', home, ...ports()]
    const result = await command(join(fresh, 'croft'), typed, { env: noRegistry })
    expectRefusal(result, 1, 'npm ci failed', '127.0.0.1:1', 'try: check that the npm registry is reachable')
    expect(existsSync(home)).toBe(false)
  })

  it('a disk that is nearly full', async () => {
    const small = join(folder, 'small')
    mkdirSync(small)
    const mounted = await command('mount', ['-t', 'tmpfs', '-o', 'size=64m,mode=755', 'croft-small', small])
    expect(mounted.code, mounted.output).toBe(0)
    try {
      expectRefusal(await up('--home', join(small, 'home')), 1, 'nearly full', 'MiB free', 'try: ')
      expect(existsSync(join(small, 'home'))).toBe(false)
    } finally {
      await command('umount', [small])
    }
  })
})

describe('croft', () => {
  it('says what it does not know with exit code 2', async () => {
    expect((await command(join(checkout, 'croft'), ['fly'])).code).toBe(2)
    expect((await command(join(checkout, 'croft'), ['up', '--warp'])).code).toBe(2)
  })
  it('lists its verbs, and shows examples for each', async () => {
    const help = await command(join(checkout, 'croft'), ['--help'])
    expect(help.code).toBe(0)
    for (const verb of ['up', 'down', 'status', 'doctor', 'test']) {
      expect(help.stdout).toMatch(new RegExp(`^  ${verb}\\b`, 'm'))
      expect((await command(join(checkout, 'croft'), [verb, '--help'])).stdout).toContain('Examples:')
    }
  })
  it('reports a platform that never was as not ready, with every component', async () => {
    const status = await command(join(checkout, 'croft'), ['status', '--json', '--home', home])
    expect(status.code).toBe(0)
    const report = JSON.parse(status.stdout) as { ready: boolean; addresses: unknown; components: { name: string }[] }
    expect(report.ready).toBe(false)
    expect(report.addresses).toEqual({ http: null, https: null, ssh: null, api: null, git: null })
    expect(report.components.map(({ name }) => name)).toEqual([
      'postgres',
      'redis',
      'controller',
      'executor',
      'router',
      'haproxy',
    ])
  })
})
