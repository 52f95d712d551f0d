/** A promise and what resolves it. */
export function gate(): { open: () => void; until: Promise<void> } {
  let open = (): void => undefined
  const until = new Promise<void>((resolve) => (open = resolve))
  return { open, until }
}
