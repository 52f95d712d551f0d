import { isLoopbackHost } from './image-reference.js'

/** Which proxy a request goes through, as `http_proxy`, `https_proxy` and `no_proxy` say it. Pure. */

/** '' where there is none. */
export interface ProxySettings {
  http: string
  https: string
  /** Hosts that are reached without one, apart by commas or spaces. */
  noProxy: string
}

export const NO_PROXIES: ProxySettings = { http: '', https: '', noProxy: '' }

/** What the host's environment says; of a platform's settings each that is set goes before, a proxy for http and https alike. */
export function proxySettings(
  env: Readonly<Record<string, string | undefined>>,
  set: { proxy: string | null; noProxy: string | null } = { proxy: null, noProxy: null },
): ProxySettings {
  const of = (name: string): string => env[name] ?? env[name.toUpperCase()] ?? ''
  return {
    http: set.proxy ?? of('http_proxy'),
    https: set.proxy ?? of('https_proxy'),
    noProxy: set.noProxy ?? of('no_proxy'),
  }
}

/** The address of the proxy for a request, or null when it goes straight there; this machine is never asked through one. */
export function proxyFor(url: URL, { http, https, noProxy }: ProxySettings): string | null {
  const proxy = (url.protocol === 'https:' ? https : http).trim()
  if (proxy === '' || isLoopbackHost(url.host)) return null
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  const host = url.hostname.replace(/\.$/, '')
  if (noProxy.split(/[\s,]+/).some((entry) => entry !== '' && isNamedBy(entry.toLowerCase(), host, port))) return null
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`
}

/** Whether an entry of `no_proxy` is of a host: `*`, a name with what is below it, an address, a block of them; with a port or without. */
function isNamedBy(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true
  if (entry.includes('/')) return isInBlock(host, entry)
  const [, name = '', ofPort] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? [undefined, `[${entry}]`]
  if (ofPort !== undefined && ofPort !== port) return false
  const below = name.replace(/^\*?\./, '')
  if (below === '') return false
  return host.endsWith(`.${below}`) || (host === below && !name.startsWith('*'))
}

function isInBlock(host: string, block: string): boolean {
  const [network = '', bits = ''] = block.split('/', 2)
  const [address, base] = [numberOf(host), numberOf(network)]
  if (address === null || base === null || !/^\d{1,2}$/.test(bits) || Number(bits) > 32) return false
  const size = 2 ** (32 - Number(bits))
  return Math.floor(address / size) === Math.floor(base / size)
}

/** An IPv4 address as a number, or null for what is none. */
function numberOf(text: string): number | null {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0)
}
