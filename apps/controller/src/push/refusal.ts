/** Why a push, or one ref of it, is refused: one cause line, one thing to try. */
export interface Refusal {
  /** Stable kebab-case code, kept in the push row. */
  reason: string
  /** One line naming the thing. */
  cause: string
  /** One line; what to type where there is something to type. */
  suggestion: string
}

/** What a folder's owner reads of a refusal that speaks of pushes: he has no commit, and deploys again. Pure. */
export function asOfFolder({ reason, cause, suggestion }: Refusal): Refusal {
  const said = (text: string): string =>
    text
      .replaceAll('the commit ', 'the folder ')
      .replaceAll(/\b(?:then )?commit and push again|\b(?:commit|push) again/g, (words) =>
        words.startsWith('then ') ? 'then deploy it again' : 'deploy it again',
      )
  if (reason === 'stale') {
    return { reason, cause: 'another folder was deployed meanwhile', suggestion: 'croft deploy --dockerfile FOLDER' }
  }
  return {
    reason,
    cause: said(cause).replace('a newer push', 'a newer push or deployment'),
    suggestion:
      reason === 'superseded'
        ? 'croft releases shows what it brought; deploy again if yours is wanted'
        : said(suggestion),
  }
}

/** A refusal as an exception, for code below the point that answers it. */
export class PushRefused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.cause)
    this.name = 'PushRefused'
  }
}
