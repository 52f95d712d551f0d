import { UsageError } from '../usage.js'

/** Where `croft garden` keeps its containers when nobody says otherwise. */
export const DEFAULT_DEPOT = '/var/lib/croft-garden'
/** Addresses of its containers; a platform's begin at 10.192.0.0. */
export const DEFAULT_NETWORK = '10.254.0.0/20'

/** What was typed behind `croft garden`, as commander hands it over. */
export interface TypedOptions {
  listen?: string[]
  backend: string
  depot: string
  network: string
  defaultRootfs?: string
  imageAlias?: string[]
  maxContainers?: string
  allowPrivileged?: boolean
  destroyOnExit?: boolean
  group?: string
  tokenFile?: string
  tlsCert?: string
  tlsKey?: string
  tlsCa?: string
  json?: boolean
}

export interface GardenOptions {
  listen: string[]
  backend: 'linux' | 'fake'
  depot: string
  network: string
  defaultRootfs: string | null
  aliases: ReadonlyMap<string, string>
  maxContainers: number | null
  allowPrivileged: boolean
  destroyOnExit: boolean
  /** Name or number of the group that may use a unix socket. */
  group: string | null
  tokenFile: string | null
  tls: { cert: string; key: string; ca: string | null } | null
  json: boolean
}

/** What the words mean together. Pure. @throws UsageError */
export function readOptions(typed: TypedOptions): GardenOptions {
  const { backend, depot, tlsCert, tlsKey, tlsCa, listen = [], imageAlias = [] } = typed
  if (backend !== 'linux' && backend !== 'fake') {
    throw new UsageError(`there is no backend ${backend}`, '--backend linux or --backend fake')
  }
  if (listen.length === 0) throw new UsageError('no address to listen on is given', '--listen unix:/run/garden.sock')
  if (!depot.startsWith('/') || depot === '/') throw new UsageError('--depot must be an absolute path of a folder')
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError('--tls-cert and --tls-key belong together')
  if (tlsCa !== undefined && tlsCert === undefined) throw new UsageError('--tls-ca needs --tls-cert and --tls-key')
  return {
    listen,
    backend,
    depot,
    network: typed.network,
    defaultRootfs: typed.defaultRootfs ?? null,
    aliases: new Map(imageAlias.map(readAlias)),
    maxContainers: typed.maxContainers === undefined ? null : readCount(typed.maxContainers),
    allowPrivileged: typed.allowPrivileged ?? false,
    destroyOnExit: typed.destroyOnExit ?? false,
    group: typed.group ?? null,
    tokenFile: typed.tokenFile ?? null,
    tls: tlsCert === undefined || tlsKey === undefined ? null : { cert: tlsCert, key: tlsKey, ca: tlsCa ?? null },
    json: typed.json ?? false,
  }
}

/** `FROM=TO`; neither holds the sign itself. */
function readAlias(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1 || at === text.length - 1) {
    throw new UsageError(`not an alias: ${text}`, '--image-alias docker:///busybox=/images/busybox.tar')
  }
  return [text.slice(0, at), text.slice(at + 1)]
}

function readCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1) throw new UsageError(`--max-containers must be a number, not ${text}`)
  return count
}
