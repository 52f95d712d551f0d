import type { BindMount, ContainerSpec } from '@croft/garden-api'
import type { BuildSpec } from '@croft/protocol'
import type { BuildContext } from './ports.js'

/** What the containers of all builds have in common, whatever builds in them. Pure. */

/** Where a build container sees what it builds from. */
export const WORKSPACE = '/workspace'
export const PLATFORM = '/platform'
export const EXCHANGE = '/cnb/croft/exchange'

/** The least weight there is: what has it runs on what nobody else wants, and gives way at once (see `giveDueShare`). */
const GIVES_WAY = 2

/** The spec of a container that is found again by its handle. */
export type BuildContainerSpec = ContainerSpec & { handle: string }

/** A folder or file of the platform's, as it is. */
export const readOnly = (srcPath: string, dstPath: string): BindMount => ({ srcPath, dstPath, mode: 'ro' })
/** A folder with the ids that its files have, not those of the container's range. */
export const mapped = (srcPath: string, dstPath: string, mode: 'ro' | 'rw' = 'rw'): BindMount => ({
  srcPath,
  dstPath,
  mode,
  isIdmapped: true,
})

/** A container of the build's own name, address and limits, which gains no privileges. */
export function containerShape(input: {
  spec: Pick<BuildSpec, 'limits'>
  context: BuildContext
  image: string
  bindMounts: BindMount[]
}): BuildContainerSpec {
  const { context, image, bindMounts } = input
  const { limits } = input.spec
  return {
    handle: context.handle,
    image: { uri: image },
    ...(context.address !== undefined && { network: context.address }),
    ...(context.properties !== undefined && { properties: context.properties }),
    hostname: 'build',
    noNewPrivileges: true,
    limits: {
      memory: { limitBytes: limits.memoryBytes },
      cpu: {
        weight: GIVES_WAY,
        ...(limits.cpuQuotaMillis !== null && { quotaMillis: limits.cpuQuotaMillis }),
      },
      pids: { max: limits.pids },
    },
    bindMounts,
  }
}
