import { CroftError } from '@croft/kit'

/** Root is needed, and this is not root. */
export class NotRoot extends CroftError {
  constructor(verb: string) {
    super({ code: 'not-root', status: 403, title: `\`croft ${verb}\` needs root`, suggestion: `sudo ./croft ${verb}` })
  }
}

/** @throws NotRoot */
export function requireRoot(verb: string): void {
  if (process.getuid?.() !== 0) throw new NotRoot(verb)
}
