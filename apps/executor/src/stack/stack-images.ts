import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { DEFAULT_STACK, stackOf } from '@croft/stacks'
import type { BaseImage, BaseImages } from '../image/base-image.js'
import { runStackTool, StackFailed, type StackTools } from './stack-tool.js'
import { untilAborted } from './until-aborted.js'

/** 20 to 60 s on an idle machine with its archive near; somebody waits and sees that it goes on. */
const TIMEOUT_MS = 20 * 60_000

export interface Waiting {
  /** Ends the waiting of this caller only: others may wait for the same. */
  signal: AbortSignal
  /** Called once when the image has to be made. */
  onMaking: () => void
  /** Whether it is made ahead and nobody waits. */
  isBackground?: boolean
}

/**
 * The images of stacks below the cache that the host's homes share, made when something first asks for them: the run image that apps
 * and builds stand on, the build image, the same with compilers, and the one that builds Dockerfiles, with buildah.
 */
export class StackImages {
  readonly #tools: StackTools
  readonly #bases: BaseImages
  readonly #running = new Map<string, Promise<void>>()
  readonly #appsWithCompilers = new Set<string>()

  constructor(tools: StackTools, bases: BaseImages) {
    this.#tools = tools
    this.#bases = bases
  }

  /** The run image of a stack. @throws StackFailed when it cannot be made or nobody knows the stack */
  async base(stack: string, waiting: Waiting): Promise<BaseImage> {
    this.#refuseUnknown(stack)
    const there = await this.#bases.current(stack).catch(() => null)
    if (there !== null) return there
    waiting.onMaking()
    await untilAborted(this.#make('base-image.sh', [stack], waiting), waiting.signal)
    return this.#bases.current(stack)
  }

  /** Makes sure that the base image has its `build:` image. @throws StackFailed */
  async compilers(base: BaseImage, waiting: Waiting): Promise<void> {
    if (await this.hasCompilers(base)) return
    waiting.onMaking()
    await untilAborted(this.#make('build-image.sh', [base.stack, hexOf(base)], waiting), waiting.signal)
  }

  /** The image with buildah, on the default stack, that can be resolved from now on. @throws StackFailed */
  async buildah(waiting: Waiting): Promise<string> {
    const base = await this.base(DEFAULT_STACK, waiting)
    const uri = `dockerfile:${base.stack}@${base.diffId}`
    if (await isThere(buildahOf(base))) return uri
    waiting.onMaking()
    await untilAborted(
      this.#make('build-image.sh', [DEFAULT_STACK, hexOf(base), 'dockerfile'], waiting),
      waiting.signal,
    )
    return uri
  }

  async hasCompilers(base: BaseImage): Promise<boolean> {
    return isThere(compilersOf(base))
  }

  /** Whether the app's last build on this node needed compilers: the next one is likely to. */
  neededCompilers(appId: string): boolean {
    return this.#appsWithCompilers.has(appId)
  }

  rememberCompilers(appId: string, didNeed: boolean): void {
    if (didNeed) this.#appsWithCompilers.add(appId)
    else this.#appsWithCompilers.delete(appId)
  }

  #make(script: string, args: readonly string[], { isBackground = false }: Waiting): Promise<void> {
    const key = [script, ...args].join(' ')
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const making = runStackTool(this.#tools, script, args, { timeoutMs: TIMEOUT_MS, isBackground }).then(
      () => undefined,
    )
    this.#running.set(key, making)
    const forget = (): void => void this.#running.delete(key)
    making.then(forget, forget)
    return making
  }

  #refuseUnknown(stack: string): void {
    if (stackOf(stack) !== undefined) return
    throw new StackFailed(`there is no stack ${JSON.stringify(stack)}`, 'croft stack lists those there are')
  }
}

/** The overlay delta that makes a build image of a base image; see tools/build-image.sh. */
export function compilersOf(base: BaseImage): string {
  return deltaOf(base, 'build')
}

/** The one that makes the image which builds Dockerfiles. */
export function buildahOf(base: BaseImage): string {
  return deltaOf(base, 'dockerfile')
}

function deltaOf(base: BaseImage, kind: string): string {
  return join(base.treePath, '..', '..', `${hexOf(base)}.${kind}`, 'delta')
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

const hexOf = ({ diffId }: BaseImage): string => diffId.slice('sha256:'.length)
