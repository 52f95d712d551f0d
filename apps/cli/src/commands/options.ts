import type { Command } from 'commander'
import { DEFAULT_HOME } from '../platform/local-platform.js'
import { parseHome } from '../up/settings.js'

/** Adds `--home`, which names a platform on this host. */
export function homeOption(command: Command): Command {
  return command.option('--home <dir>', `home of the platform on this host (CROFT_HOME; default ${DEFAULT_HOME})`)
}

/** The home an option, the environment or the default names. */
export function homeOf(options: { home?: string }): string {
  return parseHome(options.home ?? process.env['CROFT_HOME'] ?? DEFAULT_HOME)
}

/** Refuses with one line when not root. */
export { requireRoot } from '../doctor/require-root.js'
