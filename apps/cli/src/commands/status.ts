import type { Command } from 'commander'
import { examples } from '../examples.js'
import { paint, printJson, printLines, table } from '../output.js'
import { statusOf } from '../up/status-report.js'
import { homeOf, homeOption } from './options.js'

/** `croft status`: what the platform on this host is doing. */
export function register(program: Command): void {
  const command = program
    .command('status')
    .description('show the components of the platform on this host, its addresses and its health')
    .option('--json', 'print JSON for scripts')
    .action(async (options: { home?: string; json?: boolean }) => {
      const report = await statusOf(homeOf(options))
      if (options.json === true) return printJson(report)
      const { http, api, git } = report.addresses
      const mebibytes = (bytes: number | null): string =>
        bytes === null ? '' : `${Math.round(bytes / 1024 / 1024)} MiB`
      printLines(
        `Croft ${report.version} in ${report.home}: ${report.ready ? paint('green', 'ready') : paint('red', 'not ready')}`,
        ...(http === null ? [] : [`apps ${http.replace('://', '://<app>.')}   api ${api}   git ${git}/<app>.git`]),
        ...(report.garden === null ? [] : [`containers at ${report.garden}`]),
        ...(report.registry === null
          ? []
          : [
              `images in ${report.registry.url}${report.registry.problem === null ? '' : ` ${paint('red', 'not usable')}: ${report.registry.problem}`}`,
            ]),
        '',
        ...table(
          ['COMPONENT', 'STATE', 'PID', 'MEMORY', 'RESTARTS'],
          report.components.map(({ name, state, pid, rssBytes, restarts }) => [
            name,
            state,
            String(pid ?? ''),
            mebibytes(rssBytes),
            String(restarts),
          ]),
        ),
      )
    })
  homeOption(command)
  examples(command, 'croft status', 'croft status --json')
}
