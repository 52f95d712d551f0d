const NAMES: Partial<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** The architecture of images this machine runs, in their own words. */
export function imageArchitecture(): string {
  return NAMES[process.arch] ?? process.arch
}
