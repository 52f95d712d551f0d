import type { LaunchProcess } from './launch-toml.js'
import { writeToml } from './toml.js'

export interface LaunchMetadata {
  buildpacks: { id: string; version: string; api: string }[]
  processes: LaunchProcess[]
}

/** `<layers>/config/metadata.toml`: what the image can run, processes sorted by type. */
export function writeMetadataToml({ buildpacks, processes }: LaunchMetadata): string {
  return writeToml({
    buildpacks: buildpacks.map(({ id, version, api }) => ({ id, version, api })),
    processes: sortedByType(processes).map((process) => ({
      type: process.type,
      command: process.command,
      args: process.args,
      direct: process.isDirect,
      ...(process.isDefault && { default: true }),
      ...(process.workingDirectory !== null && { 'working-dir': process.workingDirectory }),
      ...(process.execEnv.length > 0 && { 'exec-env': process.execEnv }),
      'buildpack-id': process.buildpackId,
    })),
  })
}

export function sortedByType(processes: readonly LaunchProcess[]): LaunchProcess[] {
  return processes.toSorted((a, b) => (a.type < b.type ? -1 : a.type > b.type ? 1 : 0))
}
