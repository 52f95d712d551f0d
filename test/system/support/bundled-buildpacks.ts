import { existsSync, readdirSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { checkout } from './platform.js'

/** Copies the buildpacks and compiles and bundles their programs, so that the test never sees an older build of them. */
export async function bundleBuildpacks(folder: string): Promise<void> {
  await cp(join(checkout, 'buildpacks'), folder, { recursive: true, filter: (path) => !/\/(src|dist)$/.test(path) })
  for (const name of readdirSync(join(checkout, 'buildpacks'))) {
    const entry = join(checkout, 'buildpacks', name, 'src/build.ts')
    if (!existsSync(entry)) continue
    await build({
      entryPoints: [entry],
      outfile: join(folder, name, 'dist/build.mjs'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node24',
      conditions: ['croft-src'],
      logLevel: 'error',
      banner: { js: "import { createRequire as __r } from 'node:module'; const require = __r(import.meta.url);" },
    })
  }
}
