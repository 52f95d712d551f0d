import { writeFileSync } from 'node:fs'
import { BuildFailure } from './failure.js'

/** What a buildpack's `bin/build` is started with. */
export interface BuildInput {
  /** The buildpack's own folder below `/layers`. */
  layersDirectory: string
  appDirectory: string
  /** The whole environment. */
  env: Record<string, string>
}

/**
 * The frame of a `bin/build`: runs `build` and hands a BuildFailure to the platform, which shows its two lines to whoever pushed;
 * the exit code is 1 then. Other errors are faults of the buildpack and end the program with their stack.
 */
export async function runBuild(build: (input: BuildInput) => Promise<void>): Promise<void> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  try {
    await build({
      layersDirectory: env['CNB_LAYERS_DIR'] ?? process.argv[2] ?? '',
      appDirectory: process.cwd(),
      env,
    })
  } catch (error) {
    if (!(error instanceof BuildFailure)) throw error
    const path = env['CROFT_FAILURE_PATH']
    if (path === undefined) process.stdout.write(` !     ${error.message}\n !     ${error.remedy}\n`)
    else writeFileSync(path, `${error.message}\n${error.remedy}\n`)
    process.exitCode = 1
  }
}
