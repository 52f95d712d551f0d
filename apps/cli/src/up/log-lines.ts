/** One line of a component's log as a person reads it: JSON lines become `event key=value …`. Pure. */
export function readableLine(line: string): string {
  const parsed = parseJsonLine(line)
  if (parsed === undefined) return line
  const { level, time, component: _component, event, msg, ...fields } = parsed
  const rest = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const mark = level === 'error' || level === 'warn' ? `${level}: ` : ''
  const clock = typeof time === 'string' ? `${time.slice(11, 19)} ` : ''
  return `${clock}${mark}${[text(event), text(msg), ...rest].filter((part) => part !== '').join(' ')}`
}

/** What a log last complained about: its last error line, else its last line; one line. Pure. */
export function readLogTail(log: string): string {
  const lines = log.trimEnd().split('\n').slice(-40)
  const complaint = lines.findLast((line) => {
    const level = parseJsonLine(line)?.['level']
    return level === 'error' || level === 'fatal' || /^\w*Error\b|\b(FATAL|ALERT)\b|^Error:/.test(line)
  })
  return (
    readableLine(complaint ?? lines.at(-1) ?? '')
      .split('\n')[0]
      ?.slice(0, 300) ?? ''
  )
}

function parseJsonLine(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
