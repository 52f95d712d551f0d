/** Why a push, or one ref of it, is refused: one cause line, one thing to try. */
export interface Refusal {
  /** Stable kebab-case code, kept in the push row. */
  reason: string
  /** One line naming the thing. */
  cause: string
  /** One line; what to type where there is something to type. */
  suggestion: string
}

/** A refusal as an exception, for code below the point that answers it. */
export class PushRefused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.cause)
    this.name = 'PushRefused'
  }
}
