import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isWithoutWork, Layer, saidWithoutTimes } from '@croft/buildpack-kit'
import { recordTexts } from './record-text.js'
import type { Workspace } from './workspace.js'

const NAME = 'repeat'

/** The record of this build for `bin/build`, in a layer that only builds see. Is made before anything changes the layers. */
export class BuildRecord {
  readonly #layer: Layer
  readonly #before: ReadonlyMap<string, Buffer | null>

  constructor(private readonly layersDirectory: string) {
    this.#layer = new Layer(layersDirectory, NAME)
    this.#before = this.#look()
  }

  /** Leaves the record if this build had nothing to do, else none. Comes last. */
  keep(workspace: Workspace): void {
    const { noted, variables } = workspace
    const before = this.#before
    this.#layer.remove()
    const after = this.#look()
    if (noted === null || !isWithoutWork() || [...before.keys()].some((name) => !after.has(name))) return
    this.#layer.describe({ cache: true }, {})
    const written = [...after, [`${NAME}.toml`, readFileSync(`${this.#layer.path}.toml`)] as const].flatMap(
      ([name, bytes]) =>
        bytes === null || before.get(name)?.equals(bytes) ? [] : [[name, bytes.toString('utf8')] as const],
    )
    const texts = recordTexts({
      noted,
      variables,
      layersDirectory: this.layersDirectory,
      folder: this.#layer.path,
      before: new Map([...before].map(([name, bytes]) => [name, bytes === null ? null : sha256(bytes)])),
      written: new Map(written),
      said: saidWithoutTimes(),
    })
    if (texts === null) return this.#layer.remove()
    mkdirSync(this.#layer.path, { recursive: true })
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(this.#layer.path, name), text)
  }

  /** What lies in the folder of layers beside the record: the content of files, null for folders. */
  #look(): Map<string, Buffer | null> {
    const own = [NAME, `${NAME}.toml`]
    const entries = readdirSync(this.layersDirectory, { withFileTypes: true }).filter(({ name }) => !own.includes(name))
    return new Map(
      entries.map((entry) => [
        entry.name,
        entry.isDirectory() ? null : readFileSync(join(this.layersDirectory, entry.name)),
      ]),
    )
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
