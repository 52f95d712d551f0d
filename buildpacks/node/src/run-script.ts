import { run, say } from '@croft/buildpack-kit'
import { npmCli, QUIET } from './tools/npm.js'
import { npmFailure } from './npm-messages.js'
import type { ToolName } from './package-tool.js'

/**
 * Runs a script of package.json. npm runs it whoever the manager is, which the script is told; `--force`, for npm would refuse
 * where `devEngines` asks for another one.
 * @throws BuildFailure
 */
export async function runScript(
  script: string,
  options: { node: string; tool: ToolName; cwd: string; env: Record<string, string> },
): Promise<void> {
  const { node, tool, cwd, env } = options
  const startedAt = performance.now()
  say.step(`Running the script ${script}`)
  const force = tool === 'npm' ? [] : ['--force']
  const ran = await run(node, [npmCli(node), 'run', script, ...QUIET, ...force], { cwd, env, shows: 'all' })
  if (ran.exitCode !== 0) throw npmFailure(`the script ${script}`, ran.exitCode, ran.stderr)
  say.detail('done', performance.now() - startedAt)
}
