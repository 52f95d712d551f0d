import { LAYER_MTIME_SECONDS } from '@croft/oci'
import type { BuildSpec } from '@croft/protocol'
import type { BuildFolders } from '../build/build-folders.js'
import {
  containerShape,
  EXCHANGE,
  mapped,
  PLATFORM,
  readOnly,
  WORKSPACE,
  type BuildContainerSpec,
} from '../build/container-shape.js'
import type { BuildContext } from '../build/ports.js'
import type { ProvidedReach } from '../build/provide-reach.js'

/** The container in which buildah builds a Dockerfile, and how it is called there. Pure. */

const STORAGE = '/var/lib/containers/storage'
const IMAGES = '/cnb/croft/images'
const APT = '/cnb/croft/etc-apt'
/** The name of the image inside the app's own storage. */
const IMAGE = 'localhost/app:latest'
/** Where the image is left, below the exchange folder. */
export const LAYOUT = 'image'

/**
 * What buildah and everything it starts may do at most, in the container's user namespace: what containers have, and mounting. Its
 * commands run with less; one that breaks out of them finds neither the network's settings nor other processes' memory.
 */
const CAPABILITIES =
  'chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service sys_chroot mknod audit_write setfcap sys_admin'

/** A build container like those of buildpacks, in whose user namespace buildah may mount. */
export function buildahContainerSpec(input: {
  spec: BuildSpec
  context: BuildContext
  reach: Pick<ProvidedReach, 'mounts'>
  folders: BuildFolders
  /** As `StackImages.buildah` gives it. */
  image: string
  /** Buildah's storage, the app's own. */
  storage: string
  /** The folder of images to build on, and the trees that appear in it. */
  store: { folder: string; mounts: readonly { path: string; tree: string }[] }
  /** Apt's configuration for commands in a stack; null: they have what their image has. */
  apt: string | null
}): BuildContainerSpec {
  const { spec, context, reach, folders, store } = input
  const bindMounts = [
    readOnly(folders.platform, PLATFORM),
    ...reach.mounts,
    mapped(folders.workspace, WORKSPACE),
    mapped(folders.exchange, EXCHANGE),
    mapped(input.storage, STORAGE),
    mapped(store.folder, IMAGES, 'ro'),
    ...store.mounts.map(({ path, tree }) => mapped(tree, `${IMAGES}/${path}`, 'ro')),
    ...(input.apt === null ? [] : [mapped(input.apt, APT)]),
  ]
  return { ...containerShape({ spec, context, image: input.image, bindMounts }), isPrivileged: true }
}

/** The environment of buildah, which takes the user namespace it is in for its own, and hands proxies on to commands. */
export function buildahEnv({ proxy }: Pick<ProvidedReach, 'proxy'>): string[] {
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
    TMPDIR: '/var/tmp',
    XDG_RUNTIME_DIR: '/run',
    _CONTAINERS_USERNS_CONFIGURED: 'done',
    _CONTAINERS_ROOTLESS_UID: '1',
    BUILDAH_ISOLATION: 'chroot',
    ...proxy,
  }
  return Object.entries(env).map(([name, value]) => `${name}=${value}`)
}

const STORE = `--root ${STORAGE} --runroot /run/containers/storage --storage-driver overlay`
const STORE_OPTIONS = `--storage-opt overlay.imagestore=${IMAGES} --storage-opt overlay.skip_mount_home=true`
const GLOBAL = `${STORE} ${STORE_OPTIONS}`.split(' ')
const BUILD = `build --isolation chroot --network host --layers --force-rm --pull-never --format oci --timestamp ${LAYER_MTIME_SECONDS}`

/** A call of buildah with no more capabilities than it needs. */
function buildah(args: readonly string[]): { path: string; args: string[] } {
  const only = ['-all', ...CAPABILITIES.split(' ').map((name) => `+${name}`)].join(',')
  return {
    path: '/usr/bin/setpriv',
    args: [`--bounding-set=${only}`, `--inh-caps=${only}`, '--', '/usr/bin/buildah', ...GLOBAL, ...args],
  }
}

/**
 * The files of the secrets that a Dockerfile mounts, by id: the variables of the build, and the platform's settings by the names of
 * their files. What is not there is left out: a command that does not require it runs without.
 */
export function secretFiles(
  wanted: readonly string[],
  variables: Readonly<Record<string, string>>,
  { files }: Pick<ProvidedReach, 'files'>,
): Map<string, string> {
  return new Map(
    wanted.flatMap((id): [string, string][] => {
      const isVariable = /^[A-Za-z_]\w*$/.test(id) && Object.hasOwn(variables, id)
      const path = isVariable ? `${PLATFORM}/env/${id}` : files.get(id)
      return path === undefined ? [] : [[id, path]]
    }),
  )
}

/** Builds the Dockerfile of the workspace. Only the names of secrets are in the command line: their values are files. */
export function buildCommand(options: { secrets: ReadonlyMap<string, string>; hasApt: boolean }): {
  path: string
  args: string[]
} {
  const secrets = [...options.secrets].flatMap(([id, path]) => ['--secret', `id=${id},src=${path}`])
  return buildah([
    ...BUILD.split(' '),
    '--tag',
    IMAGE,
    ...(options.hasApt ? ['--volume', `${APT}:/etc/apt`] : []),
    ...secrets,
    '--file',
    `${WORKSPACE}/Dockerfile`,
    WORKSPACE,
  ])
}

/** Leaves the image in the exchange folder; layers that lie there already, by the digest of their tar, are not written again. */
export function exportCommand(): { path: string; args: string[] } {
  return buildah(['push', '--quiet', '--format', 'oci', IMAGE, `oci:${EXCHANGE}/${LAYOUT}:app`])
}
