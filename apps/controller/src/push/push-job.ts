import type { PushId } from '@croft/kit'
import type { AppRuntime } from '@croft/stacks'
import type { App } from '../app/app.entity.js'
import type { WishFiles } from '../build/build-wishes.js'
import type { AppManifest } from './app-manifest.js'
import type { PushOptions } from './push-options.js'
import type { PushOutput } from './push-output.js'
import type { RefCommand } from './receive-head.js'
import { PushRefused, type Refusal } from './refusal.js'

/** One ref on its way from received to committed. */
export interface PushJob {
  id: PushId
  app: App
  author: string
  repository: string
  command: RefCommand
  options: PushOptions
  /** `if-needed`: an image of the same tree serves again. `always`: it is built anew. `clean`: without caches too. */
  build: 'if-needed' | 'always' | 'clean'
  manifest: AppManifest
  /** What is built. */
  tree: string
  wishFiles: WishFiles
  runtime: AppRuntime | null
  output: PushOutput
  /** Aborted when the client left and did not ask to be left alone. */
  abandoned: AbortSignal
}

export const LEFT: Refusal = { reason: 'canceled', cause: 'the client left', suggestion: 'push again' }

/** A refusal of something that was built: the build has more to say. */
export class BuiltRefused extends PushRefused {
  constructor(
    refusal: Refusal,
    readonly buildId: string | null,
  ) {
    super(refusal)
  }
}
