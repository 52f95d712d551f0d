import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { command, type CommandOptions, type CommandResult } from './platform.js'

/** Container tools of other people, from Debian's packages, unpacked into a folder of the cache: nothing is installed on the host. */

const PACKAGES = ['skopeo', 'umoci', 'docker-registry', 'libgpgme11', 'libassuan0', 'libdevmapper1.02.1']
const folder = join(process.env['CROFT_CACHE'] ?? '/var/cache/croft', 'test-peers')
const root = join(folder, 'root')
const TOOLS = ['skopeo', 'umoci', 'docker-registry'].map((name) => join(root, 'usr/bin', name))

/** Whether all of them are here; fetches them when Debian's registry can be reached. */
export async function fetchPeers(): Promise<boolean> {
  if (TOOLS.every((tool) => existsSync(tool))) return true
  const work = join(folder, `.new-${process.pid}`)
  mkdirSync(work, { recursive: true })
  try {
    const fetched = await command('apt-get', ['download', ...PACKAGES], { cwd: work, timeoutMs: 60_000 })
    if (fetched.code !== 0) return false
    for (const name of readdirSync(work)) {
      const unpacked = await command('dpkg-deb', ['-x', join(work, name), root])
      if (unpacked.code !== 0) return false
    }
    return TOOLS.every((tool) => existsSync(tool))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** The program of a tool and the environment it needs; `home` is a folder of the test's own. */
export function peer(
  name: 'skopeo' | 'umoci' | 'docker-registry',
  home: string,
): { file: string; env: Record<string, string> } {
  const libraries = ['lib', 'usr/lib'].flatMap((folder) =>
    existsSync(join(root, folder)) ? readdirSync(join(root, folder)).map((one) => join(root, folder, one)) : [],
  )
  return {
    file: join(root, 'usr/bin', name),
    env: { LD_LIBRARY_PATH: libraries.join(':'), HOME: home, XDG_RUNTIME_DIR: home, TMPDIR: home },
  }
}

export function runPeer(
  name: 'skopeo' | 'umoci',
  home: string,
  args: string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { file, env } = peer(name, home)
  return command(file, args, { timeoutMs: 60_000, ...options, env })
}
