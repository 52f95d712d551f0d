import { CroftError } from '@croft/kit'
import { z } from 'zod'
import { printLines } from './output.js'
import { plainText } from './plain-text.js'

/** One line of the answer; fields of a newer platform are let through. */
const refusedShape = z.looseObject({
  outcome: z.literal('refused'),
  reason: z.string(),
  cause: z.string(),
  suggestion: z.string(),
})
const progressShape = z.union([
  refusedShape,
  z.looseObject({ line: z.string() }),
  z.looseObject({ outcome: z.literal('deployed'), release: z.int() }),
])

/** What was built is not deployed: the former release serves on. */
class BuildRefused extends CroftError {
  constructor(title: string, { reason, cause, suggestion }: z.infer<typeof refusedShape>) {
    super({ code: reason, status: 409, title, detail: cause, suggestion, kind: 'user' })
  }
}

/** An answer that ended before it said how the build did. */
class BuildUnknown extends CroftError {
  constructor() {
    super({
      code: 'build-unknown',
      status: 502,
      title: 'the platform stopped answering before the build ended',
      suggestion: 'croft releases tells whether it was deployed',
    })
  }
}

export interface ShowOptions {
  isJson: boolean
  /** Only its first line is waited for. */
  isDetached: boolean
  /** What is said when it is not deployed. */
  refusedTitle: string
}

/** Prints how a build and its deployment go on. @throws CroftError when it is refused, or nobody says how it ended */
export async function showProgress(lines: AsyncIterable<string>, options: ShowOptions): Promise<void> {
  for await (const text of lines) {
    if (text === '') continue // keeps the connection open
    const progress = progressShape.parse(JSON.parse(text))
    if (options.isJson) printLines(text)
    else if (typeof progress.line === 'string') printLines(plainText(progress.line))
    const refused = refusedShape.safeParse(progress)
    if (refused.success) throw new BuildRefused(options.refusedTitle, refused.data)
    if (options.isDetached || progress.outcome === 'deployed') return
  }
  throw new BuildUnknown()
}
