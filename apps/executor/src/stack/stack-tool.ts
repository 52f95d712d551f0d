import { join } from 'node:path'
import { bareEnv, CommandFailed, CroftError, run } from '@croft/kit'

/** What a stack needs of this host could not be made: the archive, the disk or the host is at fault, never the app. */
export class StackFailed extends CroftError {
  constructor(title: string, suggestion: string, cause?: unknown) {
    super({ code: 'stack-failed', status: 503, title, suggestion, cause })
  }
}

export interface StackTools {
  /** The folder of `package-lists.sh`, `base-image.sh`, ... */
  folder: string
  /** What the host's homes share, `/var/cache/croft`. */
  cache: string
  /** `http_proxy` and its kin, as the host has them. */
  proxyEnvironment: Record<string, string>
}

export interface ToolOptions {
  timeoutMs: number
  /** Nobody waits for it: it takes what the machine has left. */
  isBackground?: boolean
}

/**
 * Runs one of the scripts that prepare stacks below the cache, and gives what it printed. They lock, so that homes and processes can
 * ask for the same at once. @throws StackFailed with the script's own cause and remedy
 */
export async function runStackTool(
  tools: StackTools,
  script: string,
  args: readonly string[],
  { timeoutMs, isBackground = false }: ToolOptions,
): Promise<string> {
  const env = bareEnv({ HOME: '/root', ...tools.proxyEnvironment })
  try {
    const ran = await run(join(tools.folder, script), [tools.cache, ...args], { env, timeoutMs, isBackground })
    return ran.stdout.toString().trim()
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    const { title, remedy } = refusalOf(error.stderr)
    throw new StackFailed(title ?? error.title, remedy ?? 'look at the log of the executor', error)
  }
}

/** The two lines with which a script says why it stopped. Pure. */
export function refusalOf(stderr: string): { title: string | null; remedy: string | null } {
  return {
    title: /^croft: (.+)$/m.exec(stderr)?.[1] ?? null,
    remedy: /^ +try: (.+)$/m.exec(stderr)?.[1] ?? null,
  }
}
