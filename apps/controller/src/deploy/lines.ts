/** Lines of a deployment in the grammar of a push. Pure. */

/** Column the time of a step starts at. */
const TIME_COLUMN = 61

/** A step that is done, with the time it took at its end: `-----> Starting web.1 ... healthy        0.4 s`. */
export function stepLine(text: string, tookMs: number): string {
  return `${`-----> ${text}`.padEnd(TIME_COLUMN - 3)}   ${(tookMs / 1000).toFixed(1)} s`
}

/** Something to know that ends nothing. */
export function noteLine(text: string): string {
  return `       ${text}`
}
