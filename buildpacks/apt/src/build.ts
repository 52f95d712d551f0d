import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { debsPaths, installDebs, Layer, prepended, runBuild, say } from '@croft/buildpack-kit'
import { parseAptfile } from './aptfile.js'

/** `bin/build` of the Aptfile buildpack: Debian packages for the build and for the image. */

await runBuild(async ({ layersDirectory, appDirectory, env }) => {
  const packages = parseAptfile(readFileSync(join(appDirectory, 'Aptfile'), 'utf8'))
  const layer = new Layer(layersDirectory, 'apt')
  if (packages.length === 0) {
    say.warning('the Aptfile names no package')
    layer.remove()
    return
  }
  say.step(`Installing the packages of the Aptfile: ${packages.join(', ')}`)
  await installDebs(layer, packages, {
    env,
    finish: () => {
      const { bin, lib, include, pkgconfig } = debsPaths(layer.path)
      const present = (paths: string[]): string => paths.filter((path) => existsSync(path)).join(':')
      layer.env(prepended({ PATH: present(bin), LD_LIBRARY_PATH: present(lib), PERL5LIB: perlPaths(layer.path) }))
      layer.buildEnv(
        prepended({
          LIBRARY_PATH: present(lib),
          CPATH: present(include),
          PKG_CONFIG_PATH: present(pkgconfig),
        }),
      )
    },
  })
})

/** Perl is in every stack, and looks below /usr only. */
function perlPaths(root: string): string {
  const places = ['usr/share/perl5', 'usr/lib/*/perl5/*', 'usr/share/perl/*', 'usr/lib/*/perl/*']
  return globSync(places, { cwd: root })
    .toSorted()
    .map((path) => join(root, path))
    .join(':')
}
