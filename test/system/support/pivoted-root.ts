import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, command, type CommandOptions, type CommandResult } from './platform.js'

/**
 * Arguments: base folder, checkout, cache, the test run's pid, home. Holds the namespace until the run is no more, and then takes
 * down what the run left in it. (A chroot would not do: the kernel makes no user namespaces in one.)
 */
const HOLD = `
base=$1 checkout=$2 cache=$3 run=$4 home=$5 root=$1/root
mount --bind / "$root"
for folder in /proc /sys /dev; do mount --rbind "$folder" "$root$folder"; done
mount -o remount,bind,ro "$root"
mount --bind "$base/var-tmp" "$root/var/tmp"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
for folder in "$checkout" "$cache"; do mkdir -p "$root$folder"; mount --bind "$folder" "$root$folder"; done
cd "$root"
mkdir run/host
pivot_root . run/host
umount -l /run/host
echo ready
exec >/dev/null 2>&1
while kill -0 "$run" 2>/dev/null; do sleep 0.5; done
"$checkout/croft" down --yes --home "$home"
rm -rf /var/tmp/croft-test-*
`

/** A second root of this host, in a mount namespace of its own: the host's files, read-only, with /run, /tmp and /var/tmp of its own. */
export class PivotedRoot {
  readonly #base: string
  readonly #holder: ChildProcess

  private constructor(base: string, holder: ChildProcess) {
    this.#base = base
    this.#holder = holder
  }

  /** `home`: of the one platform that will run in there, below /var/tmp. */
  static async make(home: string): Promise<PivotedRoot> {
    const base = mkdtempSync('/var/tmp/croft-root-')
    for (const name of ['root', 'var-tmp']) mkdirSync(join(base, name), { mode: 0o755 })
    const cache = process.env['CROFT_CACHE'] ?? '/var/cache/croft'
    const run = process.env['CROFT_TEST_RUN'] ?? String(process.pid)
    const holder = spawn(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-ec', HOLD, 'hold', base, checkout, cache, run, home],
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    )
    let said = ''
    await new Promise<void>((resolve, reject) => {
      holder.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
      holder.stdout?.once('data', () => resolve())
      holder.once('exit', (code) => reject(new Error(`no second root (exit code ${code}): ${said}`)))
    })
    return new PivotedRoot(base, holder)
  }

  /** Runs a command in there. */
  command(file: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> {
    return command('nsenter', ['--mount', '--target', String(this.#holder.pid), '--', file, ...args], options)
  }

  /** Where the host finds what is at `path` in there, below /var/tmp. */
  seenFromHost(path: string): string {
    return path.replace(/^\/var\/tmp\//, `${this.#base}/var-tmp/`)
  }

  /** Its namespace goes with the last process in it. */
  remove(): void {
    this.#holder.kill('SIGKILL')
    rmSync(this.#base, { recursive: true, force: true })
  }
}
