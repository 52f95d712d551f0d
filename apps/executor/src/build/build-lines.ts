/** How what a program in a build says becomes lines of a push. Pure. */

// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|.)/g
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f]/g
const GRAMMAR = /^(-----> | {7}|=====> | !     )/
const MAX_LINE = 4000

/** One line in the grammar of a push: a line that is in it stays, another becomes a detail. Escapes and controls go. */
export function formatLine(raw: string): string {
  const shown = raw.slice(raw.replace(/\r+$/, '').lastIndexOf('\r') + 1) // what a terminal would show of a progress bar
  const text = shown.replace(ESCAPES, '').replace(CONTROLS, '').trimEnd().slice(0, MAX_LINE)
  if (text === '') return '\n'
  return GRAMMAR.test(text) ? `${text}\n` : `       ${text}\n`
}

/** Cuts a stream of text into lines; the rest comes with `end`. */
export class LineCutter {
  #rest = ''

  push(text: string): string[] {
    const pieces = (this.#rest + text).split('\n')
    this.#rest = pieces.pop() ?? ''
    if (this.#rest.length > MAX_LINE * 4) {
      pieces.push(this.#rest)
      this.#rest = ''
    }
    return pieces
  }
  end(): string[] {
    const rest = this.#rest
    this.#rest = ''
    return rest === '' ? [] : [rest]
  }
}
