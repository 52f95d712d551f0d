import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What names that may come to mean something else (branches, tags) stood for when the app first used them. */
export type Pins = Readonly<Record<string, string>>

/** None where the file is gone or damaged: what they stand for is asked again. */
export async function readPins(path: string): Promise<Pins> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Pins
  } catch {
    return {}
  }
}

export async function writePins(path: string, pins: Pins): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(`${path}.new`, JSON.stringify(pins), { mode: 0o600 })
  await rename(`${path}.new`, path)
}
