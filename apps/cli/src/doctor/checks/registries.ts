import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { globSync } from 'node:fs'
import { egressOf, type EgressTarget } from '../../up/egress.js'
import { readHostNpm } from '../../up/build-environment.js'
import type { Check, Finding } from '../check.js'

const TIMEOUT_MS = 4_000
const DNS_PORT = 53

/** The package registries, archives and proxies this host is configured with take connections; without them only cached builds work. */
export const registries: Check = {
  name: 'registries',
  phase: 'tools',
  async run(): Promise<Finding> {
    const { npm, proxyEnvironment } = await readHostNpm(process.env)
    const files = globSync('/etc/apt/{sources.list,sources.list.d/*.{list,sources}}')
    const aptSources = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n')
    const all = egressOf({ npm, proxyEnvironment, aptSources, resolvConf: '' }).filter(({ port }) => port !== DNS_PORT)
    // with a proxy the registries themselves need not be reachable from here
    const proxies = egressOf({ npm: new Map([['registry', '']]), proxyEnvironment, aptSources: '', resolvConf: '' })
    const targets = proxies.length > 0 ? proxies : all
    const answers = await Promise.all(targets.map(takesConnections))
    const silent = targets.filter((_, index) => answers[index] !== true)
    return silent.length === 0
      ? { status: 'ok', detail: targets.map(({ host, port }) => `${host}:${port}`).join(', ') }
      : {
          status: 'warning',
          detail: `not reachable from here: ${silent.map(({ host, port }) => `${host}:${port}`).join(', ')}`,
          remedy:
            'builds that fetch packages will fail: check the network, the proxy (https_proxy) and the configured registries',
        }
  },
}

function takesConnections({ host, port }: EgressTarget): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const answer = (isOpen: boolean): void => {
      socket.destroy()
      resolve(isOpen)
    }
    socket.setTimeout(TIMEOUT_MS, () => answer(false))
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}
