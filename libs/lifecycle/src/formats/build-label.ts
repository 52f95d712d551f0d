import type { LaunchProcess } from './launch-toml.js'
import { sortedByType } from './metadata-toml.js'

/** The label that tells people and tools what is in the image. */
export const BUILD_LABEL = 'io.buildpacks.build.metadata'

export interface BuildLabel {
  buildpacks: readonly { id: string; version: string; homepage?: string }[]
  processes: readonly LaunchProcess[]
  launcherVersion: string
}

export function writeBuildLabel({ buildpacks, processes, launcherVersion }: BuildLabel): string {
  return JSON.stringify({
    processes: sortedByType(processes).map((process) => ({
      type: process.type,
      command: process.command,
      args: process.args,
      direct: process.isDirect,
      ...(process.isDefault && { default: true }),
      'working-dir': process.workingDirectory ?? '',
      ...(process.execEnv.length > 0 && { 'exec-env': process.execEnv }),
      buildpackID: process.buildpackId,
    })),
    buildpacks: buildpacks.map(({ id, version, homepage }) => ({
      id,
      version,
      ...(homepage !== undefined && { homepage }),
    })),
    launcher: { version: launcherVersion },
  })
}
