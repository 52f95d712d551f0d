import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { VARIABLES, type Noted, type Variable } from './record-text.js'

/**
 * What a build decides by, and what it does to the app's folder. Everything goes through here, for what is looked at is noted, also
 * that something is not there: a later build that finds all of it so again need not decide anew. Paths are those of the app's folder,
 * or absolute. What is only read when a program is to be run needs no note.
 */
export class Workspace {
  readonly #noted: Noted = { digests: new Map(), present: new Set(), absent: new Set(), links: new Map() }
  #isRepeatable = true

  constructor(
    readonly directory: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** Where something in the app's folder lies. */
  at(path: string): string {
    return resolve(this.directory, path)
  }

  /** A variable of the environment. */
  variable(name: Variable): string | undefined {
    return this.env[name]
  }

  /** Notes a file that says which program or platform this is. */
  standOn(path: string): void {
    if (this.read(path) === undefined) this.#isRepeatable = false
  }

  /** The text of a file, undefined when it cannot be read. */
  read(path: string): string | undefined {
    try {
      const bytes = readFileSync(this.at(path))
      this.#noted.digests.set(path, sha256(bytes))
      return bytes.toString('utf8')
    } catch {
      if (!this.#isNothing(path)) this.#isRepeatable = false
      return undefined
    }
  }

  /** Whether there is such a file or folder. */
  exists(path: string): boolean {
    const exists = existsSync(this.at(path))
    if (exists) this.#noted.present.add(path)
    else if (!this.#isNothing(path)) this.#isRepeatable = false
    return exists
  }

  /** Of a file, or of everything in a folder. */
  digest(path: string): string {
    const place = this.at(path)
    if (!statSync(place).isDirectory()) {
      const digest = sha256(readFileSync(place))
      this.#noted.digests.set(path, digest)
      return digest
    }
    this.#isRepeatable = false
    const hash = createHash('sha256')
    const entries = readdirSync(place, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    for (const file of entries.map((entry) => join(entry.parentPath, entry.name)).toSorted()) {
      hash.update(`${file}\0`).update(readFileSync(file)).update('\0')
    }
    return hash.digest('hex')
  }

  /** Takes something out of the app; says whether it was there. */
  remove(path: string): boolean {
    if (this.#isNothing(path)) return false
    this.#isRepeatable = false
    rmSync(this.at(path), { recursive: true, force: true })
    return true
  }

  /** Lets a path of the app lead elsewhere, in place of what is there. */
  link(path: string, target: string): void {
    this.remove(path)
    mkdirSync(dirname(this.at(path)), { recursive: true })
    symlinkSync(target, this.at(path))
    this.#noted.links.set(path, target)
  }

  /** What was looked at and done; null when something was that cannot be seen, or done, again in a simple way. */
  get noted(): Noted | null {
    return this.#isRepeatable ? this.#noted : null
  }

  /** The values of the variables that may count, which are no secrets. */
  get variables(): Readonly<Partial<Record<Variable, string>>> {
    return Object.fromEntries(
      VARIABLES.flatMap((name) => (this.env[name] === undefined ? [] : [[name, this.env[name]]])),
    )
  }

  /** Whether there is nothing of that name, not even a link that leads nowhere. */
  #isNothing(path: string): boolean {
    try {
      if (lstatSync(this.at(path), { throwIfNoEntry: false }) !== undefined) return false
    } catch {
      return false
    }
    this.#noted.absent.add(path)
    return true
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
