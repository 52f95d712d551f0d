import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { command, type CommandResult } from './platform.js'

/**
 * Podman of Debian's packages, unpacked into a folder of the cache like the other container tools of other people. It runs containers by
 * the host's runc, without a network of their own or in the host's, in cgroups below one of its own.
 */

const PACKAGES = [
  'podman',
  'conmon',
  'golang-github-containers-common',
  'libsubid4',
  'libglib2.0-0',
  'libgpgme11',
  'libassuan0',
  'libdevmapper1.02.1',
]
const folder = join(process.env['CROFT_CACHE'] ?? '/var/cache/croft', 'test-podman')
const root = join(folder, 'root')
const program = join(root, 'usr/bin/podman')

/** Whether it is here; fetches it when Debian's registry can be reached. */
export async function fetchPodman(): Promise<boolean> {
  if (existsSync(join(folder, 'complete'))) return true
  const work = join(folder, `.new-${process.pid}`)
  mkdirSync(work, { recursive: true })
  try {
    const fetched = await command('apt-get', ['download', ...PACKAGES], { cwd: work, timeoutMs: 120_000 })
    if (fetched.code !== 0) return false
    for (const name of readdirSync(work)) {
      const unpacked = await command('dpkg-deb', ['-x', join(work, name), root])
      if (unpacked.code !== 0) return false
    }
    writeFileSync(join(folder, 'complete'), '')
    return true
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** One podman with a storage of its own. */
export class Podman {
  readonly home = mkdtempSync('/var/tmp/croft-test-podman-')
  readonly #cgroup = `croft-test-podman-${process.pid}`
  readonly #env: Record<string, string>

  constructor() {
    const libraries = ['lib', 'usr/lib'].flatMap((name) =>
      existsSync(join(root, name)) ? readdirSync(join(root, name)).map((one) => join(root, name, one)) : [],
    )
    const LD_LIBRARY_PATH = libraries.join(':')
    for (const name of ['run', 'tmp', 'store', '.config/containers'])
      mkdirSync(join(this.home, name), { recursive: true })
    // podman hands no LD_LIBRARY_PATH on
    const conmon = join(this.home, 'conmon')
    writeFileSync(conmon, `#!/bin/sh\nLD_LIBRARY_PATH=${LD_LIBRARY_PATH} exec ${join(root, 'usr/bin/conmon')} "$@"\n`)
    chmodSync(conmon, 0o755)
    writeFileSync(
      join(this.home, 'containers.conf'),
      `[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
conmon_path = ["${conmon}"]
[engine.runtimes]
runc = ["/usr/sbin/runc", "/usr/bin/runc"]
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
`,
    )
    const policy = { default: [{ type: 'insecureAcceptAnything' }] }
    writeFileSync(join(this.home, '.config/containers/policy.json'), JSON.stringify(policy))
    writeFileSync(join(this.home, 'auth.json'), '{}')
    this.#env = {
      LD_LIBRARY_PATH,
      HOME: this.home,
      TMPDIR: join(this.home, 'tmp'),
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CONTAINERS_CONF: join(this.home, 'containers.conf'),
      CONTAINERS_REGISTRIES_CONF: '/dev/null',
      REGISTRY_AUTH_FILE: join(this.home, 'auth.json'),
    }
  }

  run(...args: string[]): Promise<CommandResult> {
    const place = (name: string): string => join(this.home, name)
    return command(
      program,
      [
        '--root',
        place('store'),
        '--runroot',
        place('run'),
        '--tmpdir',
        place('tmp'),
        '--storage-driver',
        'overlay',
        ...args,
      ],
      { env: this.#env, timeoutMs: 180_000 },
    )
  }

  /** `podman run` of a container that goes on, in the host's network. */
  start(name: string, ...args: string[]): Promise<CommandResult> {
    return this.run('run', '-d', '--name', name, '--network=host', `--cgroup-parent=/${this.#cgroup}`, ...args)
  }

  /** Removes every container, and all that it kept. */
  async close(): Promise<void> {
    await this.run('rm', '--all', '--force', '--time', '0')
    await this.run('rmi', '--all', '--force')
    for (const hierarchy of readdirSync('/sys/fs/cgroup')) removeCgroup(join('/sys/fs/cgroup', hierarchy, this.#cgroup))
    removeCgroup(join('/sys/fs/cgroup', this.#cgroup))
    await command('umount', ['--quiet', join(this.home, 'store/overlay')])
    rmSync(this.home, { recursive: true, force: true })
  }
}

function removeCgroup(path: string): void {
  if (!existsSync(path) || !statSync(path).isDirectory()) return
  for (const name of readdirSync(path, { withFileTypes: true }))
    if (name.isDirectory()) removeCgroup(join(path, name.name))
  rmdirSync(path)
}
