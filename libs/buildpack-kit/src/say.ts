/** The lines of a push: a step, a detail, a warning; times in one column. */

const TIME_COLUMN = 61

function line(text: string, tookMs: number | undefined): string {
  if (tookMs === undefined) return `${text}\n`
  const time = `${(tookMs / 1000).toFixed(1)} s`
  return text.length > TIME_COLUMN - 3 ? `${text}   ${time}\n` : `${text.padEnd(TIME_COLUMN)}${time}\n`
}

export const say = {
  step: (text: string, tookMs?: number): boolean => process.stdout.write(line(`-----> ${text}`, tookMs)),
  detail: (text: string, tookMs?: number): boolean => process.stdout.write(line(`       ${text}`, tookMs)),
  warning: (text: string): boolean => process.stdout.write(line(` !     ${text}`, undefined)),
}
