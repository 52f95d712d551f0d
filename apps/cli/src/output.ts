import { CroftError, messageOf, toProblem } from '@croft/kit'
import { styleText } from 'node:util'
import { ApiError } from './client/api-error.js'

/** What a person or a script sees. Errors go to standard error, results to standard output. */

/** Prints a result for scripts. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** Prints lines for people. */
export function printLines(...lines: string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`)
}

/** A warning of what somebody else has to see to; nothing for null. */
export function printLeft(left: string | null): void {
  if (left !== null) printLines(`       ${paint('yellow', 'warning:')} ${left}`)
}

/** Columns as wide as their widest cell; the last one is not padded. Pure. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  return all.map((row) =>
    head
      .map((_, column) =>
        column === head.length - 1 ? (row[column] ?? '') : (row[column] ?? '').padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
}

/** Text in a colour when `stream` is a terminal that shows colours. */
export function paint(
  style: Parameters<typeof styleText>[0],
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): string {
  return styleText(style, text, { stream, validateStream: true })
}

/** Prints a failure: what happened and why on one line, the remedy on the next; as a problem document with `--json`. */
export function printError(error: unknown, asJson: boolean): void {
  if (asJson) {
    const context = error instanceof ApiError && error.requestId !== undefined ? { requestId: error.requestId } : {}
    process.stderr.write(`${JSON.stringify(toProblem(error, context))}\n`)
    return
  }
  if (!(error instanceof CroftError)) {
    const text = error instanceof Error && process.env['CROFT_DEBUG'] !== undefined ? error.stack : messageOf(error)
    process.stderr.write(`${paint('red', 'croft:', process.stderr)} ${text}\n`)
    return
  }
  const what = error.detail === undefined ? error.title : `${error.title}: ${error.detail}`
  process.stderr.write(`${paint('red', 'croft:', process.stderr)} ${what}\n`)
  if (error.suggestion !== undefined) process.stderr.write(`       try: ${error.suggestion}\n`)
  if (error instanceof ApiError && error.requestId !== undefined)
    process.stderr.write(`       request: ${error.requestId}\n`)
}
