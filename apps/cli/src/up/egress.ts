/** One place containers may reach although it may lie in a private range. */
export interface EgressTarget {
  host: string
  port: number
}

const DEFAULT_REGISTRY = 'https://registry.npmjs.org/'
const DNS_PORT = 53

/**
 * The platform's egress list as this host is configured: npm's registries, apt's archives, proxies, resolvers. Pure.
 * `npm` are npm's settings, `aptSources` the text of all its source files, `resolvConf` that of /etc/resolv.conf.
 */
export function egressOf(host: {
  npm: ReadonlyMap<string, string>
  proxyEnvironment: Readonly<Record<string, string>>
  aptSources: string
  resolvConf: string
}): EgressTarget[] {
  const registries = [...host.npm].flatMap(([key, value]) => (/(^|:)registry$/.test(key) ? [value] : []))
  const proxies = [
    host.npm.get('proxy'),
    host.npm.get('https-proxy'),
    ...Object.entries(host.proxyEnvironment).flatMap(([name, value]) => (/^https?_proxy$/i.test(name) ? [value] : [])),
  ]
  const archives = [...host.aptSources.replaceAll(/^\s*#.*$/gm, '').matchAll(/\bhttps?:\/\/[^\s"']+/g)].map(
    ([url]) => url,
  )
  const urls = [...(registries.length === 0 ? [DEFAULT_REGISTRY] : registries), ...proxies, ...archives]
  const targets = urls.flatMap((text) => {
    if (text === undefined || !URL.canParse(text)) return []
    const url = new URL(text)
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
    return url.hostname === '' ? [] : [{ host: url.hostname.replace(/^\[|\]$/g, ''), port }]
  })
  const resolvers = [...host.resolvConf.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, address]) =>
    address === undefined || /^(127\.|::1$)/.test(address) ? [] : [{ host: address, port: DNS_PORT }],
  )
  const unique = new Map([...targets, ...resolvers].map((target) => [`${target.host} ${target.port}`, target]))
  return [...unique.values()].sort((a, b) => a.host.localeCompare(b.host) || a.port - b.port)
}
