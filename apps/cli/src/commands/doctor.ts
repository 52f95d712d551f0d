import type { Command } from 'commander'
import { runCheck, type CheckReport } from '../doctor/check.js'
import { checks } from '../doctor/checks/index.js'
import { examples } from '../examples.js'
import { paint, printJson, printLines } from '../output.js'
import { findLocalPlatform } from '../platform/local-platform.js'
import { askHealth } from '../up/platform-health.js'
import { statusOf } from '../up/status-report.js'
import { hasIpv6Loopback } from '../up/ipv6.js'
import { readSettings, type GardenSetting, type RegistrySetting, type UpOptions } from '../up/settings.js'
import { homeOf, homeOption } from './options.js'

const MARKS = { ok: 'ok', mitigated: 'mitigated', warning: 'warning', failed: 'FAILED' } as const
const STYLES = { ok: 'green', mitigated: 'cyan', warning: 'yellow', failed: 'red' } as const

/** `croft doctor`: the checks `up` makes, by the same functions, and how the platform is. */
export function register(program: Command): void {
  const command = program
    .command('doctor')
    .description('check this host and its platform, and say what to fix')
    .option('--json', 'print JSON for scripts')
    .action(async (options: { home?: string; json?: boolean }) => {
      const reports = await examine(homeOf(options))
      if (reports.some(({ status }) => status === 'failed')) process.exitCode = 1
      if (options.json === true) return printJson(reports)
      for (const { name, status, detail, remedy } of reports) {
        printLines(`${paint(STYLES[status], MARKS[status].padEnd(9))}  ${name.padEnd(10)}  ${detail}`)
        if (remedy !== null) printLines(`${''.padEnd(23)}try: ${remedy}`)
      }
    })
  homeOption(command)
  examples(command, 'croft doctor', 'croft doctor --json')
}

async function examine(home: string): Promise<CheckReport[]> {
  const running = await findLocalPlatform(home)
  const asStarted: UpOptions =
    running === undefined
      ? {}
      : {
          domain: running.state.settings.domain,
          httpPort: String(running.state.settings.httpPort),
          httpsPort: String(running.state.settings.httpsPort),
          sshPort: String(running.state.settings.sshPort),
          listen: running.state.settings.listen.join(','),
          ...gardenOptions(running.state.settings.garden),
          ...registryOptions(running.state.settings.registry),
        }
  const settings = readSettings({ ...asStarted, home }, process.env, hasIpv6Loopback())
  const found = await Promise.all(checks.map((check) => runCheck(check, settings)))
  return [...found, await platformReport(home)]
}

function gardenOptions(garden: GardenSetting | null): UpOptions {
  if (garden === null) return { garden: '' }
  const { address, tokenFile, network } = garden
  return { garden: address, gardenNetwork: network, ...(tokenFile !== null && { gardenTokenFile: tokenFile }) }
}

function registryOptions(registry: RegistrySetting | null): UpOptions {
  if (registry === null) return { registryUrl: '' }
  const { url, credentialsFile, mayBePlain } = registry
  return {
    registryUrl: url,
    registryPlainHttp: mayBePlain,
    ...(credentialsFile !== null && { registryCredentialsFile: credentialsFile }),
  }
}

async function platformReport(home: string): Promise<CheckReport> {
  const platform = await findLocalPlatform(home)
  if (platform === undefined) return { name: 'platform', status: 'ok', detail: `none runs in ${home}`, remedy: null }
  const { ready, components } = await statusOf(home)
  const bad = components.filter(({ state }) => state !== 'running' && state !== 'external')
  if (ready) return { name: 'platform', status: 'ok', detail: 'ready, every component runs', remedy: null }
  const detail =
    bad.length === 0
      ? (await askHealth(platform.state.settings)).missing
      : bad.map(({ name, state }) => `${name} is ${state}`).join(', ')
  return {
    name: 'platform',
    status: 'failed',
    detail,
    remedy: `look at ${home}/log/${bad[0]?.name ?? 'controller'}.log, or start it with ./croft up`,
  }
}
