import { lookup } from 'node:dns/promises'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { BindMount, NetOutRule } from '@croft/garden-api'
import type { Env } from '@croft/lifecycle'
import { spanOf, type BuildReach, type EgressTarget } from '@croft/protocol'
import type { GitAccess } from '../buildpack/git-source.js'
import { isPublic } from '../buildpack/reachable.js'
import { CA, egressOf, proxyEnv, REACH, reachEnv, reachFiles, reachTargets, type HostReach } from './build-reach.js'
import type { BuildPaths } from './ports.js'

/** What the container of a build gets so that its programs reach package registries. */
export interface ProvidedReach {
  mounts: BindMount[]
  env: Env
  /** Of that, `http_proxy` and its kin. */
  proxy: Env
  /** Where the files of the settings are seen, by their names. */
  files: ReadonlyMap<string, string>
  /** What is in them, by the same names. */
  texts: Readonly<Record<string, string>>
  /** Where they lie. */
  folder: string
  /** Mirrors, proxies and other targets in private ranges, which no container reaches otherwise. */
  netOut: NetOutRule[]
  /** How this host fetches buildpacks for it; what is absent is as ever. */
  git: GitAccess
}

/** Writes the files of the platform's settings into `folder`, which is made, and finds where their hosts are now. */
export async function provideReach(
  folder: string,
  paths: Pick<BuildPaths, 'npmrc' | 'ca' | 'proxyEnvironment'>,
  reach: BuildReach | undefined,
): Promise<ProvidedReach> {
  const read = async (path: string | null): Promise<string | null> => (path === null ? null : readFile(path, 'utf8'))
  const host: HostReach = {
    npmrc: await read(paths.npmrc),
    ca: await read(paths.ca),
    proxyEnvironment: paths.proxyEnvironment,
  }
  const files = reachFiles(host, reach)
  const certificates = 'ca.crt' in files ? [{ srcPath: join(folder, 'ca.crt'), dstPath: CA, mode: 'ro' as const }] : []
  const provided: ProvidedReach = {
    mounts: [{ srcPath: folder, dstPath: REACH, mode: 'ro' }, ...certificates],
    env: reachEnv(host, reach),
    proxy: proxyEnv(host, reach),
    files: new Map(Object.keys(files).map((name) => [name, `${REACH}/${name}`])),
    texts: files,
    folder,
    netOut: await rulesFor(reachTargets(reach)),
    git: {
      ...(reach !== undefined && reach.egress.length > 0 && { letThrough: egressOf(reach) }),
      ...(reach?.ca != null && { ca: join(folder, 'ca.crt') }),
      ...((reach?.proxy ?? reach?.noProxy) != null && { proxyEnvironment: proxyEnv(host, reach) }),
    },
  }
  await writeReach(provided)
  return provided
}

/** The same from files in another folder, which `writeReach` makes. */
export function reachIn(folder: string, reach: ProvidedReach): ProvidedReach {
  const moved = (path: string): string => join(folder, relative(reach.folder, path))
  return {
    ...reach,
    mounts: reach.mounts.map((mount) => ({ ...mount, srcPath: moved(mount.srcPath) })),
    git: { ...reach.git, ...(reach.git.ca != null && { ca: moved(reach.git.ca) }) },
    folder,
  }
}

/** Writes its files, or those of them that `isWanted` names. */
export async function writeReach(
  { folder, texts }: Pick<ProvidedReach, 'folder' | 'texts'>,
  isWanted: (name: string) => boolean = () => true,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 })
  for (const [name, text] of Object.entries(texts)) {
    if (isWanted(name)) await writeFile(join(folder, name), text, { mode: 0o644 })
  }
}

async function rulesFor(targets: readonly EgressTarget[]): Promise<NetOutRule[]> {
  const rules = targets.map(async ({ host, port }): Promise<NetOutRule[]> => {
    if (host.includes('/')) return [{ protocol: 'tcp', networks: [spanOf(host)], ports: [{ start: port }] }]
    // a name that nobody resolves now is told by the program that asks for it
    const addresses = await lookup(host, { all: true, family: 4 }).catch(() => [])
    const networks = addresses.flatMap(({ address }) => (isPublic(address) ? [] : [{ start: address }]))
    return networks.length === 0 ? [] : [{ protocol: 'tcp', networks, ports: [{ start: port }] }]
  })
  return (await Promise.all(rules)).flat()
}
