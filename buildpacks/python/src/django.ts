import { BuildFailure, run, say } from '@croft/buildpack-kit'

/** Names under which settings take the key that signs sessions. */
const KEYS = ['SECRET_KEY', 'DJANGO_SECRET_KEY'] as const

/** The variable the settings of a Django app read their secret key from; null when they read none. Pure. */
export function secretKeyVariable(settings: readonly string[]): string | null {
  const text = settings.join('\n')
  return (
    KEYS.find((name) =>
      new RegExp(String.raw`(?:environ(?:\.get\(|\[)|getenv\(|env(?:\.str)?\(|config\()\s*['"]${name}['"]`).test(text),
    ) ?? null
  )
}

/** What a run of collectstatic comes to. Pure. */
export function collectStaticOutcome(
  exitCode: number | null,
  output: string,
): 'done' | 'no-app' | 'no-folder' | 'failed' {
  if (exitCode === 0) return 'done'
  if (/Unknown command: '?collectstatic/.test(output)) return 'no-app'
  return /without having set the STATIC_ROOT setting/.test(output) ? 'no-folder' : 'failed'
}

/** Gathers the static files of a Django app where its settings say. @throws BuildFailure */
export async function collectStatic(appDirectory: string, env: Record<string, string>): Promise<void> {
  if ((env['DISABLE_COLLECTSTATIC'] ?? '0') !== '0') return
  const startedAt = performance.now()
  say.step('Collecting static files (manage.py collectstatic)')
  const dummies = Object.fromEntries(KEYS.map((name) => [name, 'only-for-the-build']))
  const ran = await run('python3', ['manage.py', 'collectstatic', '--noinput'], {
    cwd: appDirectory,
    env: { ...dummies, ...env },
  })
  const output = `${ran.stdout}\n${ran.stderr}`
  switch (collectStaticOutcome(ran.exitCode, output)) {
    case 'done':
      say.detail(countLine(output), performance.now() - startedAt)
      return
    case 'no-app':
      say.detail('django.contrib.staticfiles is not among the installed apps')
      return
    case 'no-folder':
      say.warning('STATIC_ROOT is not set: static files are not collected')
      return
    default:
      process.stdout.write(`${output.trim()}\n`)
      throw new BuildFailure(
        `manage.py collectstatic failed: ${output.trim().split('\n').at(-1)?.slice(0, 200) ?? 'no reason given'}`,
        'run `python manage.py collectstatic --noinput` on your machine: settings must load without a database and without config vars',
      )
  }
}

function countLine(output: string): string {
  return /(\d+ static files? (?:copied|unmodified)|\d+ static files?)[^\n]*/.exec(output)?.[1] ?? 'done'
}
