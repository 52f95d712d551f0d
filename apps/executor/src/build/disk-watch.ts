import type { Container } from '@croft/garden-api'
import { bareEnv, run, type Clock } from '@croft/kit'

const EVERY_MS = 2_000
const DU_TIMEOUT_MS = 30_000

/**
 * Watches what a build writes: into its mounts and, as `container` tells, into its root. No quota covers the mounts, and one for
 * the root alone would cost every build 60 ms. Resolves with the number of bytes when it is over the limit; never while it is
 * not, and rejects when `signal` aborts.
 */
export async function watchDisk(
  folders: readonly string[],
  container: Pick<Container, 'metrics'>,
  limitBytes: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<number> {
  for (;;) {
    await clock.sleep(EVERY_MS, signal)
    const [mounts, root] = await Promise.all([
      usedBytes(folders, signal),
      container.metrics().then(
        ({ disk }) => disk.exclusiveBytes,
        () => 0, // it is going away, or the next look tells
      ),
    ])
    if (mounts + root > limitBytes) return mounts + root
  }
}

async function usedBytes(folders: readonly string[], signal: AbortSignal): Promise<number> {
  try {
    const { stdout } = await run(
      'du',
      ['--summarize', '--one-file-system', '--total', '--block-size=1', '--', ...folders],
      {
        timeoutMs: DU_TIMEOUT_MS,
        signal,
        env: bareEnv({ LC_ALL: 'C' }),
      },
    )
    return totalOf(stdout.toString())
  } catch {
    return 0 // files come and go under du's feet; the next look decides
  }
}

function totalOf(text: string): number {
  return Number(/^(\d+)\s+total$/m.exec(text)?.[1] ?? 0)
}
