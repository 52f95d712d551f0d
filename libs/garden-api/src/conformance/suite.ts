import { it } from 'vitest'
import type { Backend, Container } from '../backend.js'
import type { Capabilities, ContainerSpec, ImageRef } from '../types.js'
import type { FixtureName } from './fixture/images.js'
import { missingOf, type Need } from './needs.js'

/** What the suite needs to know of a backend under test. */
export interface ConformanceOptions {
  /** Put into every spec: the fixture image, at least. */
  base: ContainerSpec
  /** A user of the image that is not root. */
  user: string
  /** Whether specs about the kernel's work can hold: false for a fake. */
  hasKernel: boolean
  /** What the backend says of itself, read before specs are collected. */
  capabilities: Capabilities
  /** The suite's other images, as the backend names them; specs about one that is absent are skipped. */
  images?: Partial<Record<FixtureName, ImageRef>>
}

export interface BackendUnderTest {
  backend: Backend
  /** Another backend object over the same state, as after the first one's process died. */
  reopen(): Promise<Backend>
  clean(): Promise<void>
}

type Body = () => Promise<void>

interface SpecOptions {
  needs?: readonly Need[]
  /** The other image it is about. */
  image?: FixtureName
  timeoutMs?: number
}

/** Rounds of what could go wrong once in many times: the count in the long form, a few in the short one. */
export const rounds = (long: number, short = 2): number => (process.env['CROFT_TEST_LONG'] === '1' ? long : short)

/** What a file of specs works with. */
export class Suite {
  #underTest: BackendUnderTest | undefined

  constructor(readonly options: ConformanceOptions) {}

  /** @throws Error outside of a spec */
  get underTest(): BackendUnderTest {
    if (this.#underTest === undefined) throw new Error('the backend is there in specs and their hooks only')
    return this.#underTest
  }
  set underTest(value: BackendUnderTest) {
    this.#underTest = value
  }
  get backend(): Backend {
    return this.underTest.backend
  }
  /** The spec every container of the suite is made from. */
  get base(): ContainerSpec {
    return this.options.base
  }
  /** @throws Error when the spec did not ask for it */
  image(name: FixtureName): ImageRef {
    const image = this.options.images?.[name]
    if (image === undefined) throw new Error(`a spec about the image ${name} must say so`)
    return image
  }
  get user(): string {
    return this.options.user
  }

  /** A spec of what the API promises: any backend keeps it, a fake too. */
  api(title: string, body: Body, options: SpecOptions = {}): void {
    this.#spec(title, body, options, [])
  }
  /** A spec of what only a backend with real processes can do. */
  kernel(title: string, body: Body, options: SpecOptions = {}): void {
    this.#spec(title, body, options, this.options.hasKernel ? [] : ['a kernel'])
  }

  /** Lends a container that is gone afterwards. */
  async withContainer(use: (container: Container) => Promise<void>, spec: ContainerSpec = {}): Promise<void> {
    const container = await this.backend.create({ ...this.base, ...spec })
    try {
      await use(container)
    } finally {
      await this.backend.destroy(container.handle, { ifExists: true })
    }
  }

  #spec(title: string, body: Body, options: SpecOptions, missing: string[]): void {
    const { image } = options
    if (image !== undefined && this.options.images?.[image] === undefined) missing.push(`the image ${image}`)
    const lacking = [...missing, ...missingOf(this.options.capabilities, options.needs ?? [])]
    if (lacking.length > 0) it.skip(`${title} [needs ${lacking.join(', ')}]`, body)
    else if (options.timeoutMs === undefined) it(title, body)
    else it(title, body, options.timeoutMs)
  }
}
