/** The beat of a scripted peer that asks again and again; no spec waits by it. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
