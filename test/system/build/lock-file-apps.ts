import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { buildNeeds } from '../support/build-needs.js'
import { failed, succeeded, type Pushed } from '../support/build-results.js'
import { APP, type BuildRig } from '../support/build-rig.js'
import { exampleFiles } from '../support/source-trees.js'
import { allNames, documentsOf, expectNothingLeft } from './looks.js'

const needs = buildNeeds()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined

/** A Node app whose packages come from the registry: built, built again, built after a change. */
export function describeLockFileApps(rigOfFile: () => BuildRig): void {
  describe.skipIf(needs !== null)('a Node app with a lock file', () => {
    let rig: BuildRig
    beforeAll(() => (rig = rigOfFile()))

    const files = needs === null ? exampleFiles('node-express') : {}
    let first: Pushed

    beforeAll(async () => {
      if (needs === null) first = await rig.build(files)
    })

    it('is built from the registry, step by step in the grammar of a push', async () => {
      const { processTypes, newLayers } = succeeded(first)
      expect(first.log).toMatch(/^-----> Node\.js app detected \(package\.json\) +\d+\.\d s\n/)
      expect(first.log).toMatch(/\n-----> Installing dependencies\n {7}npm ci: 68 packages +\d+\.\d s\n/)
      expect(first.log).toMatch(
        /\n-----> Exporting image sha256:[0-9a-f]{4}\.\.\. \(7 new layers, [\d.]+ MB\) +\d+\.\d s\n$/,
      )
      expect(first.log).toMatch(/^[\n -~]*$/) // ASCII
      expect(processTypes).toEqual({ web: { command: 'node server.js', argv: ['/cnb/process/web'] } })
      expect(newLayers).toBe(7)
      const { record } = succeeded(first)
      expect(record?.steps.map(({ name }) => name)).toEqual([
        expect.stringContaining('detected'),
        'Node.js',
        expect.stringContaining('Exporting'),
      ])
      expect(record?.layers.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['stack debian-12', 'croft/node: node', 'app']),
      )
      expect(record?.layers.filter(({ isNew }) => isNew)).toHaveLength(7)
      await expectNothingLeft(rig)
    })

    it('answers HTTP from the image, as a user who owns the app folder and nothing else', async () => {
      const { image } = succeeded(first)
      const run = await rig.serve(image, '/cnb/process/web', ['PORT=8080'])
      try {
        expect(await run.get('/')).toBe('Hello from Express on Croft\n')
        expect(
          await run.sh(
            'id -un; touch /workspace/x && echo mine; touch /layers/croft_node/x 2>/dev/null || echo not mine',
          ),
        ).toBe('croft\nmine\nnot mine\n')
        expect(await run.sh('ps -eo args 2>/dev/null || cat /proc/[0-9]*/cmdline | tr "\\0" " "')).not.toContain('npm')
      } finally {
        await run.end()
      }
      expect(documentsOf(rig, image).user).toBe('1002:1002')
    })

    it('names the packages that are in the image', async () => {
      const { output } = await rig.runIn(succeeded(first).image, [
        '/bin/cat',
        '/layers/sbom/launch/croft_node/modules/sbom.cdx.json',
      ])
      const { components } = JSON.parse(output) as { components: { purl: string }[] }
      expect(components.map(({ purl }) => purl)).toContainEqual(expect.stringMatching(/^pkg:npm\/express@\d/))
      expect(new Set(components.map(({ purl }) => purl)).size).toBe(components.length)
      const ofNode = await rig.runIn(succeeded(first).image, [
        '/bin/cat',
        '/layers/sbom/launch/croft_node/node/sbom.cdx.json',
      ])
      expect(ofNode.output).toMatch(/"purl":"pkg:npm\/%40npmcli\/arborist@\d/) // npm brings its packages along
    })

    it('changed in one line, becomes one new layer, and npm is not run', async () => {
      rig.registry.uploads.length = 0
      const changed = { ...files, 'server.js': `${files['server.js']}// changed\n` }
      const second = await rig.build(changed, { previousImage: succeeded(first).image })
      expect(second.log).toMatch(/\n-----> Installing dependencies\n {7}dependencies unchanged +\d\.\d s\n/)
      expect(succeeded(second)).toMatchObject({ newLayers: 1 })
      expect(succeeded(second).newBytes).toBeLessThan(50_000)
      expect(rig.registry.uploads).toHaveLength(2) // the layer and the image's configuration
      const run = await rig.serve(succeeded(second).image, '/cnb/process/web', ['PORT=8080'])
      expect(await run.get('/')).toBe('Hello from Express on Croft\n')
      await run.end()
    })

    it('changed where no build looks, is built without Node, by the record of the build before, to the same image', async () => {
      const before = await rig.build(files, { previousImage: succeeded(first).image })
      const previousImage = succeeded(before).image
      const changed = { ...files, 'server.js': `${files['server.js']}// changed again\n` }
      const { paths } = rig.ports
      const platformNode = join(rig.folder, 'no-node')
      cpSync(join(paths.platformNode, 'package.json'), join(platformNode, 'package.json'))
      rig.ports.paths = { ...paths, platformNode }
      const short = await rig.build(changed, { previousImage })
      rmSync(join(paths.caches, APP, 'cache.json'))
      const refused = await rig.build(changed, { previousImage })
      rig.ports.paths = paths
      expect(short.log).toMatch(/\n-----> Installing dependencies\n {7}dependencies unchanged +0\.0 s\n/)
      expect(failed(refused).message).toContain('Node.js') // without the record it takes Node
      const long = await rig.build(changed, { previousImage })
      expect(long.log).toContain('dependencies unchanged')
      expect(succeeded(long).image).toBe(succeeded(short).image)
      expect(succeeded(long)).toMatchObject({ newLayers: 1 })
    })

    it('built again gives the same image, with what was kept and without', async () => {
      const { image } = succeeded(first)
      const again = await rig.build(files, { previousImage: image })
      expect(succeeded(again)).toMatchObject({ image, newLayers: 0 })
      expect(again.log).toContain('(nothing new)')
      const clean = await rig.build(files, { previousImage: image, change: { isClean: true } })
      expect(clean.log).toMatch(/npm ci: 68 packages/)
      expect(succeeded(clean).image).toBe(image)
    })

    it.runIf(isLong)('runs and builds again after the node lost all it had unpacked', async () => {
      const { image } = succeeded(first)
      await rig.loseLayers()
      const run = await rig.serve(image, '/cnb/process/web', ['PORT=8080'])
      expect(await run.get('/')).toBe('Hello from Express on Croft\n')
      await run.end()
      await rig.loseLayers()
      const again = await rig.build(files, { previousImage: image })
      expect(again.log).toContain('dependencies unchanged')
      expect(succeeded(again).image).toBe(image)
    })

    it('with a lock file that does not fit is refused with what is missing', async () => {
      const manifest = JSON.parse(files['package.json'] ?? '{}') as { dependencies: object }
      const misfit = { ...manifest, dependencies: { ...manifest.dependencies, 'left-pad': '1.3.0' } }
      const { reason, message, suggestion } = failed(
        await rig.build({ ...files, 'package.json': JSON.stringify(misfit) }),
      )
      expect(reason).toBe('buildpack')
      expect(message).toBe('package-lock.json does not fit package.json: left-pad@1.3.0 is missing from it')
      expect(suggestion).toContain('commit package-lock.json')
    })

    it('with other dependencies has these and none of the former ones', async () => {
      type Lock = { packages: Record<string, object> }
      const lock = JSON.parse(files['package-lock.json'] ?? '{}') as Lock
      const root = { name: 'app', dependencies: { ms: '*' } }
      const only = { ...lock, packages: { '': root, 'node_modules/ms': lock.packages['node_modules/ms'] } }
      const changed = {
        'server.js': '',
        'package.json': JSON.stringify(root),
        'package-lock.json': JSON.stringify(only),
      }
      const pushed = await rig.build(changed, { previousImage: succeeded(first).image })
      expect(pushed.log).toMatch(/npm ci: 1 package +/)
      const { output } = await rig.runIn(succeeded(pushed).image, ['/bin/ls', '-A', 'node_modules/'])
      expect(output).toBe('.package-lock.json\nms\n')
      const diffIds = documentsOf(rig, succeeded(pushed).image).diffIds
      expect(
        documentsOf(rig, succeeded(first).image).diffIds.filter((diffId) => diffIds.includes(diffId)),
      ).toHaveLength(5)

      // and with more again, which are added to these, it is the image that was made from nothing
      const grown = await rig.build(files, { previousImage: succeeded(pushed).image })
      expect(grown.log).toMatch(/npm install beside what was there: \d+ packages +/)
      expect(succeeded(grown).image).toBe(succeeded(first).image)
    })

    it.runIf(isLong)('may write into its dependencies while it builds: the image has what it saw', async () => {
      const scripted = (version: number): Record<string, string> => ({
        ...files,
        'version.txt': String(version),
        'package.json': JSON.stringify({
          ...(JSON.parse(files['package.json'] ?? '{}') as object),
          scripts: { start: 'node server.js', build: 'sh build.sh' },
        }),
        'build.sh':
          'mkdir -p node_modules/.made && cp version.txt node_modules/.made/ && rm -rf node_modules/ms && touch node_modules/vary/new && rm -f node_modules/vary/README.md\n',
      })
      const one = succeeded(await rig.build(scripted(1)))
      const two = await rig.build(scripted(2), { previousImage: one.image })
      expect(two.log).toContain('dependencies unchanged')
      for (const [image, version] of [
        [one.image, '1'],
        [succeeded(two).image, '2'],
      ] as const) {
        const { output } = await rig.runIn(image, [
          '/cnb/lifecycle/launcher',
          'cat node_modules/.made/version.txt; ls node_modules/vary; ls -d node_modules/ms',
        ])
        expect(output).toContain(`${version}HISTORY.md\nLICENSE\nindex.js\nnew\npackage.json\n`)
        expect(output).toContain("cannot access 'node_modules/ms'")
      }
      const names = await allNames(rig, succeeded(two).image)
      expect(names.filter((name) => /\.wh\./.test(name))).toEqual([])
      expect(names).toContain('/layers/croft_node/modules/node_modules/express/package.json')
    })
  })
}
