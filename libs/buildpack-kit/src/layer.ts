import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'smol-toml'
import { didWork } from './work.js'

export interface LayerTypes {
  build?: boolean
  cache?: boolean
  launch?: boolean
}

/** One layer of this buildpack: a folder and the file beside it. */
export class Layer {
  readonly path: string
  readonly #toml: string
  readonly #bill: string

  constructor(
    private readonly layersDirectory: string,
    readonly name: string,
  ) {
    this.path = join(layersDirectory, name)
    this.#toml = join(layersDirectory, `${name}.toml`)
    this.#bill = join(layersDirectory, `${name}.sbom.cdx.json`)
  }

  /** What an earlier build recorded of the layer, when it came back. */
  metadata(): Record<string, unknown> {
    try {
      const { metadata } = parse(readFileSync(this.#toml, 'utf8'))
      return typeof metadata === 'object' && !Array.isArray(metadata) ? (metadata as Record<string, unknown>) : {}
    } catch {
      return {}
    }
  }

  /** Throws away what came back and begins with an empty folder. */
  clear(): void {
    didWork()
    rmSync(this.path, { recursive: true, force: true })
    mkdirSync(this.path, { recursive: true })
  }

  /** Says what the layer is for and what it was made from; comes last, when the content is whole. */
  describe(types: LayerTypes, metadata: Record<string, unknown>): void {
    writeFileSync(this.#toml, `${stringify({ types, metadata })}\n`)
  }

  /** Leaves the layer's bill of materials (CycloneDX) beside it; the buildpack's `sbom-formats` has to name the format. */
  bill(text: string): void {
    writeFileSync(this.#bill, text)
  }

  /** Whether a bill of materials lies beside it: one of its own, or the one that came back with it. */
  get isBilled(): boolean {
    return existsSync(this.#bill)
  }

  /** Takes back what came back: the layer is no part of this build. */
  remove(): void {
    rmSync(this.#bill, { force: true })
    rmSync(this.#toml, { force: true })
    rmSync(this.path, { recursive: true, force: true })
  }

  /** Another layer of the same buildpack. */
  sibling(name: string): Layer {
    return new Layer(this.layersDirectory, name)
  }

  /** Environment of every process of the image: `NAME.default`, `NAME.append`, `NAME.delim`, ... */
  launchEnv(files: Record<string, string>): void {
    this.#envFiles('env.launch', files)
  }

  /** Environment of the buildpacks that follow. */
  buildEnv(files: Record<string, string>): void {
    this.#envFiles('env.build', files)
  }

  /** Environment of both. */
  env(files: Record<string, string>): void {
    this.#envFiles('env', files)
  }

  #envFiles(folder: string, files: Record<string, string>): void {
    didWork()
    mkdirSync(join(this.path, folder), { recursive: true })
    for (const [name, value] of Object.entries(files)) writeFileSync(join(this.path, folder, name), value)
  }
}

/** Files of an environment folder that put each value before what the variable has. */
export function prepended(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      value === ''
        ? []
        : [
            [`${name}.prepend`, value],
            [`${name}.delim`, ':'],
          ],
    ),
  )
}
