/** Environments `K=V` put together; a later one wins, the order of first mention stays. Pure. */
export function mergeEnv(...lists: readonly (readonly string[])[]): string[] {
  const merged = new Map<string, string>()
  for (const line of lists.flat()) {
    const at = line.indexOf('=')
    if (at > 0) merged.set(line.slice(0, at), line)
  }
  return [...merged.values()]
}
