import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CroftError, errnoOf, run } from '@croft/kit'

const SOURCE = fileURLToPath(new URL('../../native/croft-init.c', import.meta.url))
const FLAGS = ['-O2', '-static', '-Wall', '-Wextra', '-Werror', '-D_FORTIFY_SOURCE=2']
const COMPILE_TIMEOUT_MS = 120_000

/** The host has no C compiler. */
export class NoCompilerError extends CroftError {
  constructor(cause: unknown) {
    super({
      code: 'no-compiler',
      status: 500,
      title: 'gcc is needed once, to compile the container shim',
      suggestion: 'apt-get install --no-install-recommends gcc libc6-dev',
      cause,
    })
  }
}

/**
 * The path of the compiled croft-init below `<cacheDir>/shim/<hash of its source>/`, compiled first when it is not there.
 * @throws NoCompilerError, CommandFailed
 */
export async function buildShim(options: { cacheDir: string }): Promise<string> {
  const source = await readFile(SOURCE)
  const hash = createHash('sha256')
    .update(FLAGS.join(' '))
    .update(process.arch)
    .update(source)
    .digest('hex')
    .slice(0, 32)
  const parent = join(options.cacheDir, 'shim')
  const folder = join(parent, hash)
  const program = join(folder, 'croft-init')
  if (await isThere(program)) return program
  await mkdir(parent, { recursive: true, mode: 0o755 })
  const work = await mkdtemp(join(parent, '.new-'))
  try {
    const fresh = join(work, 'croft-init')
    await compile(fresh)
    await chmod(fresh, 0o755)
    await chmod(work, 0o755)
    await rename(work, folder)
  } catch (error) {
    await rm(work, { recursive: true, force: true })
    /* somebody else was quicker: theirs is the same program */
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error
  }
  return program
}

async function compile(output: string): Promise<void> {
  try {
    await run('gcc', [...FLAGS, '-o', output, SOURCE], { timeoutMs: COMPILE_TIMEOUT_MS })
  } catch (error) {
    if (error instanceof CroftError && errnoOf(error.cause) === 'ENOENT') throw new NoCompilerError(error)
    throw error
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}
