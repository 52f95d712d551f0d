let done = 0

/** Notes that a program was started or the content of a layer changed. */
export function didWork(): void {
  done += 1
}

/** Whether this program has started none and changed the content of no layer: all it did is to say what came back is for. */
export function isWithoutWork(): boolean {
  return done === 0
}
