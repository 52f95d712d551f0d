import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { bareEnv, CommandFailed, CroftError, errnoOf, run } from '@croft/kit'
import { z } from 'zod'
import { NPM_PATIENCE, NpmFailed } from './npm-failure.js'

/** The npm that builds use, whatever the host has (Debian's own is spread over its file system). */
const VERSION = '11.19.1'
const INTEGRITY = 'sha512-ztsxKxt/kkIaAs+2i0GU6I+DRmUdrNasxTZKJe9TCdSjKxlhah/4r/hl5ygMD6XAg1qZ9c2TNomR4qgOydp10g=='

/** Whether the cache has it. */
export function hasPlatformNpm(cache: string): boolean {
  return existsSync(join(cache, 'npm', VERSION, 'package.json'))
}

/** The folder of npm's package in the cache, fetched and verified first when it is not there. @throws NpmFailed */
export async function ensurePlatformNpm(cache: string): Promise<string> {
  const parent = join(cache, 'npm')
  const folder = join(parent, VERSION)
  if (hasPlatformNpm(cache)) return folder
  await mkdir(parent, { recursive: true, mode: 0o755 })
  const work = await mkdtemp(join(parent, '.new-'))
  try {
    const inherited = Object.fromEntries(
      Object.entries(process.env).filter(
        (entry): entry is [string, string] =>
          /^(npm_config_|NPM_CONFIG_|NODE_EXTRA|SSL_|.*_proxy$|.*_PROXY$)/.test(entry[0]) && entry[1] !== undefined,
      ),
    )
    const { stdout } = await run('npm', ['pack', `npm@${VERSION}`, '--json', '--pack-destination', work], {
      cwd: '/',
      env: bareEnv({ ...NPM_PATIENCE, ...inherited, HOME: homedir() }),
      timeoutMs: 120_000,
    }).catch((error: unknown) => {
      throw error instanceof CommandFailed ? new NpmFailed("npm for the apps' builds", error) : error
    })
    const [packed] = z
      .array(z.object({ filename: z.string() }))
      .min(1)
      .parse(JSON.parse(stdout.toString()))
    const file = join(work, packed?.filename.replace(/^.*\//, '') ?? '')
    const actual = `sha512-${createHash('sha512')
      .update(await readFile(file))
      .digest('base64')}`
    if (actual !== INTEGRITY) {
      throw new CroftError({
        code: 'npm-not-genuine',
        status: 502,
        title: `the npm registry gave another npm ${VERSION} than was published`,
        suggestion: 'check which registry npm is configured for on this host (npm config get registry)',
      })
    }
    await run('/bin/tar', ['-xzf', file, '-C', work, '--no-same-owner'], { timeoutMs: 60_000 })
    await run('/bin/chmod', ['-R', 'a+rX,go-w', join(work, 'package')], { timeoutMs: 60_000 })
    await rename(join(work, 'package'), folder)
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error // somebody else was quicker
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return folder
}
