import { chmod, chown, copyFile, mkdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { constants } from 'node:fs'
import { bareEnv, run } from '@croft/kit'

const PROGRAMS = [
  'sh',
  'echo',
  'cat',
  'sleep',
  'tee',
  'env',
  'id',
  'seq',
  'head',
  'touch',
  'tty',
  'stty',
  'true',
  'ls',
  'ps',
  'stat',
  'mkdir',
  'rm',
  'cp',
  'kill',
  'mount',
  'umount',
  'unshare',
  'mknod',
  'dd',
  'ln',
  'hostname',
  'bash',
  'timeout',
  'chmod',
  'chown',
  'readlink',
  'uname',
  'wc',
  'dmesg',
  'tr',
]
/** The fixture programs of the conformance suite that no package has. */
const SCRIPTS: Record<string, string> = {
  exit: 'exit "${1:-0}"',
  spin: 'exec sleep 1000000',
  trap: 'trap \'exit "$code"\' TERM; code=$1; echo ready; while :; do sleep 0.05; done',
}
const PASSWD = 'root:x:0:0:root:/root:/bin/sh\nalice:x:1001:1001::/home/alice:/bin/sh\n'
const GROUP = 'root:x:0:\nalice:x:1001:\nteam:x:2000:alice\n'

/** A small root file system out of this host's own programs and their libraries, and `node`: no network, no image needed. */
export async function makeHostRoot(dir: string): Promise<void> {
  await mkdir(join(dir, 'usr/bin'), { recursive: true })
  await mkdir(join(dir, 'etc'), { recursive: true })
  await mkdir(join(dir, 'root'), { mode: 0o700 })
  await mkdir(join(dir, 'home/alice'), { recursive: true })
  await mkdir(join(dir, 'tmp'))
  await chmod(join(dir, 'tmp'), 0o1777)
  await chown(join(dir, 'home/alice'), 1001, 1001)
  await symlink('usr/bin', join(dir, 'bin'))
  await writeFile(join(dir, 'etc/passwd'), PASSWD)
  await writeFile(join(dir, 'etc/group'), GROUP)
  for (const [name, script] of Object.entries(SCRIPTS)) {
    await writeFile(join(dir, 'usr/bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  }
  const libraries = new Set<string>()
  for (const name of [...PROGRAMS, 'node']) {
    const found = name === 'node' ? process.execPath : await find(name)
    const program = await realpath(found)
    await copyFile(program, join(dir, 'usr/bin', name), constants.COPYFILE_FICLONE)
    const { stdout } = await run('ldd', [program], { timeoutMs: 5000 })
    for (const [, path] of stdout.toString().matchAll(/(\/\S+) \(0x/g)) if (path !== undefined) libraries.add(path)
  }
  for (const library of libraries) {
    await mkdir(join(dir, dirname(library)), { recursive: true })
    await copyFile(await realpath(library), join(dir, library))
  }
}

async function find(name: string): Promise<string> {
  return (await run('which', [name], { timeoutMs: 5000, env: bareEnv() })).stdout.toString().trim()
}
