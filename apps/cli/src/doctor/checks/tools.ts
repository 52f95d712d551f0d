import { CommandFailed, run } from '@croft/kit'
import type { Check, Finding } from '../check.js'

interface Tool {
  program: string
  args: string[]
  pattern: RegExp
  /** The oldest version that will do. */
  least: readonly [number, number]
  package: string
}

const TOOLS: readonly Tool[] = [
  { program: 'runc', args: ['--version'], pattern: /runc version (\d+)\.(\d+)/, least: [1, 1], package: 'runc' },
  { program: 'haproxy', args: ['-v'], pattern: /version (\d+)\.(\d+)/, least: [2, 4], package: 'haproxy' },
  { program: 'redis-server', args: ['--version'], pattern: /v=(\d+)\.(\d+)/, least: [6, 2], package: 'redis-server' },
  { program: 'nft', args: ['--version'], pattern: /v(\d+)\.(\d+)/, least: [1, 0], package: 'nftables' },
  { program: 'git', args: ['--version'], pattern: /version (\d+)\.(\d+)/, least: [2, 37], package: 'git' },
  { program: 'ip', args: ['-V'], pattern: /-(\d+)\.(\d+)/, least: [5, 10], package: 'iproute2' },
  { program: 'setpriv', args: ['--version'], pattern: /(\d+)\.(\d+)/, least: [2, 36], package: 'util-linux' },
]

/** The programs Croft stands on are there and new enough. */
export const tools: Check = {
  name: 'tools',
  phase: 'tools',
  async run(): Promise<Finding> {
    const versions = await Promise.all(TOOLS.map(versionOf))
    for (const [index, tool] of TOOLS.entries()) {
      const version = versions[index]
      if (version === undefined) {
        return {
          status: 'failed',
          detail: `${tool.program} is not installed`,
          remedy: `apt-get install --no-install-recommends ${tool.package}`,
        }
      }
      const [major, minor] = version
      if (major < tool.least[0] || (major === tool.least[0] && minor < tool.least[1])) {
        return {
          status: 'failed',
          detail: `${tool.program} ${version.join('.')} is too old, ${tool.least.join('.')} is needed`,
          remedy: `apt-get install ${tool.package}`,
        }
      }
    }
    return {
      status: 'ok',
      detail: TOOLS.map(({ program }, index) => `${program} ${versions[index]?.join('.')}`).join(', '),
    }
  },
}

async function versionOf({ program, args, pattern }: Tool): Promise<[number, number] | undefined> {
  try {
    const { stdout, stderr } = await run(program, args, { timeoutMs: 10_000 })
    const found = pattern.exec(`${stdout.toString()}${stderr.toString()}`)
    return found === null ? [0, 0] : [Number(found[1]), Number(found[2])]
  } catch (error) {
    if (error instanceof CommandFailed) return undefined
    throw error
  }
}
