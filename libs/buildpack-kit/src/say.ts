/** The lines of a push: a step, a detail, a warning; times in one column. */

const TIME_COLUMN = 61

function line(text: string, tookMs: number | undefined): string {
  if (tookMs === undefined) return `${text}\n`
  const time = `${(tookMs / 1000).toFixed(1)} s`
  return text.length > TIME_COLUMN - 3 ? `${text}   ${time}\n` : `${text.padEnd(TIME_COLUMN)}${time}\n`
}

const said: string[] = []

function write(text: string, tookMs?: number): boolean {
  said.push(line(text, tookMs === undefined ? undefined : 0))
  return process.stdout.write(line(text, tookMs))
}

export const say = {
  step: (text: string, tookMs?: number): boolean => write(`-----> ${text}`, tookMs),
  detail: (text: string, tookMs?: number): boolean => write(`       ${text}`, tookMs),
  warning: (text: string): boolean => write(` !     ${text}`),
}

/** All that this program said so far, as it were if nothing had taken any time. */
export function saidWithoutTimes(): string {
  return said.join('')
}
