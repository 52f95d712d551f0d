/** A build that cannot go on because of the app: one line of cause, one of remedy. */
export class BuildFailure extends Error {
  readonly remedy: string

  constructor(cause: string, remedy: string) {
    super(cause)
    this.remedy = remedy
  }
}
