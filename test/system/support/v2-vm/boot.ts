import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { bareEnv, start } from '@croft/kit'
import type { VmFiles } from './image.js'
import type { VmPackages } from './packages.js'

export interface VmResult {
  /** Of the guest's work; null when the machine ended without a word of it. */
  exitCode: number | null
  /** Everything on its console. */
  console: string
}

export interface BootOptions {
  timeoutMs: number
  memoryMib?: number
  /** Told each line of the console. */
  onLine?: (line: string) => void
}

const MEMORY_MIB = 3072

/** Boots the machine, emulated (hardware acceleration hangs on some hosts), and waits until it is off. */
export async function boot(packages: VmPackages, files: VmFiles, options: BootOptions): Promise<VmResult> {
  const kernel = 'console=ttyS0 quiet panic=-1 cgroup_no_v1=all random.trust_cpu=on mitigations=off'
  const settings: Record<string, string> = {
    accel: 'tcg,thread=multi',
    machine: 'q35',
    cpu: 'max',
    smp: '2',
    m: String(options.memoryMib ?? MEMORY_MIB),
    display: 'none',
    kernel: files.kernel,
    initrd: files.initrd,
    append: kernel,
    drive: `file=${files.disk},format=raw,if=virtio,cache=unsafe`,
    serial: 'stdio',
    net: 'none',
  }
  const args = ['-nodefaults', '-no-user-config', '-no-reboot']
  for (const folder of packages.data) args.push('-L', folder)
  for (const [name, value] of Object.entries(settings)) args.push(`-${name}`, value)
  const env = bareEnv({ LD_LIBRARY_PATH: packages.libraries.join(':') })
  /* it ends with whoever started it, however that ends */
  const child = start('setpriv', ['--pdeathsig', 'KILL', packages.qemu, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const errors: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk))
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs)
  try {
    if (child.stdout === null) throw new Error('no console')
    const reader = createInterface({ input: child.stdout })
    reader.on('line', (line) => {
      lines.push(line)
      options.onLine?.(line)
    })
    await once(child, 'close')
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
  }
  const console = [...lines, Buffer.concat(errors).toString()].join('\n')
  const exit = /^CROFT-VM-EXIT (\d+)/m.exec(console)?.[1]
  return { exitCode: exit === undefined ? null : Number(exit), console }
}
