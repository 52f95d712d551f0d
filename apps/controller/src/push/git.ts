import { bareEnv, run, start } from '@croft/kit'

export type GitProcess = ReturnType<typeof start>

/** git with a fixed environment: no configuration but the repository's own, no prompts, no protocol to anywhere. */
export function gitEnv(extra: Record<string, string> = {}): Record<string, string> {
  return bareEnv({
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: 'none',
    GIT_OPTIONAL_LOCKS: '0',
    LC_ALL: 'C.UTF-8',
    ...extra,
  })
}

const TIMEOUT_MS = 30_000

interface GitOptions {
  env?: Record<string, string>
  timeoutMs?: number
  signal?: AbortSignal
  input?: string
  /** As of `run`. */
  isBackground?: boolean
}

/** Runs a git command inside a bare repository; arguments are fixed words, object ids and refs that were checked before. */
export async function git(repository: string, args: readonly string[], options: GitOptions = {}): Promise<string> {
  const { stdout } = await run('git', [`--git-dir=${repository}`, ...args], {
    env: gitEnv(options.env),
    cwd: '/',
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    isBackground: options.isBackground ?? false,
    ...(options.signal !== undefined && { signal: options.signal }),
    ...(options.input !== undefined && { input: options.input }),
  })
  return stdout.toString('utf8')
}

/** Starts a git command whose streams the caller reads. */
export function startGit(repository: string, args: readonly string[], env: Record<string, string> = {}): GitProcess {
  return start('git', [`--git-dir=${repository}`, ...args], {
    env: gitEnv(env),
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

/** Below it lie the refs that are nobody's but ours: neither fetched nor pushed. */
const HIDDEN_REFS = 'refs/croft'
/** The sources that came as folders, each by the id of its push. */
export const FOLDER_REFS = `${HIDDEN_REFS}/folders`
/** Commits of releases that no branch has any more, each by its id. */
export const RELEASED_REFS = `${HIDDEN_REFS}/released`

export function isHidden(ref: string): boolean {
  return ref.startsWith(`${HIDDEN_REFS}/`)
}

/** Starts one side of git's wire protocol on a repository: `receive-pack` or `upload-pack`, stateless. */
export function startService(
  service: 'receive-pack' | 'upload-pack',
  repository: string,
  options: { isAdvertisement: boolean; protocol?: string | undefined; env?: Record<string, string> },
): GitProcess {
  const flags = options.isAdvertisement ? ['--stateless-rpc', '--http-backend-info-refs'] : ['--stateless-rpc']
  return start('git', ['-c', `transfer.hideRefs=${HIDDEN_REFS}`, service, ...flags, repository], {
    env: gitEnv({ ...(options.protocol !== undefined && { GIT_PROTOCOL: options.protocol }), ...options.env }),
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

/** `Git-Protocol` of a request when it is one git defines; anything else is dropped. */
export function protocolOf(header: unknown): string | undefined {
  return typeof header === 'string' && /^version=[0-2]$/.test(header) ? header : undefined
}
