import type { LaunchMetadata } from './metadata-toml.js'
import { sortedByType } from './metadata-toml.js'

/** The label that tells people and tools what is in the image. */
export const BUILD_LABEL = 'io.buildpacks.build.metadata'

export function writeBuildLabel({ buildpacks, processes }: LaunchMetadata, launcherVersion: string): string {
  return JSON.stringify({
    processes: sortedByType(processes).map((process) => ({
      type: process.type,
      command: process.command,
      args: process.args,
      direct: process.isDirect,
      'working-dir': process.workingDirectory ?? '',
      buildpackID: process.buildpackId,
    })),
    buildpacks: buildpacks.map(({ id, version }) => ({ id, version })),
    launcher: { version: launcherVersion },
  })
}
