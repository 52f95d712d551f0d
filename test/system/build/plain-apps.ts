import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { buildNeeds } from '../support/build-needs.js'
import { succeeded } from '../support/build-results.js'
import type { BuildRig } from '../support/build-rig.js'
import { allNames, documentsOf, expectNothingLeft, packageJson, plain } from './looks.js'

const needs = buildNeeds()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined

/** Apps for which no registry of packages is asked, and the one question to npm which Node there is. */
export function describePlainApps(rigOfFile: () => BuildRig): void {
  describe.skipIf(needs !== null)('a buildpack for files of some names', () => {
    let rig: BuildRig
    beforeAll(() => (rig = rigOfFile()))

    it('is asked where the app has one of them, and else not even started', async () => {
      const detects = ['ruby', 'python'].map((name) => join(rig.folder, 'buildpacks', name, 'bin/detect'))
      const before = detects.map((path) => readFileSync(path))
      for (const path of detects) writeFileSync(path, '#!/bin/sh\ntouch "asked-${CNB_BUILDPACK_DIR##*/}"\nexit 100\n')
      try {
        const names = await allNames(rig, succeeded(await rig.build(plain({}, { 'requirements.txt': '' }))).image)
        expect(names.filter((name) => name.includes('asked-'))).toEqual(['/workspace/asked-python'])
      } finally {
        for (const [at, path] of detects.entries()) writeFileSync(path, before[at] ?? '')
      }
    })
  })

  describe.skipIf(needs !== null)('an app without dependencies', () => {
    let rig: BuildRig
    beforeAll(() => (rig = rigOfFile()))

    it('has the processes of its Procfile before those of its start script', async () => {
      const { processTypes } = succeeded(
        await rig.build(plain({}, { Procfile: 'web: node server.js --procfile\nworker: sleep 1 && true\n' })),
      )
      expect(processTypes).toEqual({
        web: { command: 'node server.js --procfile', argv: ['/cnb/process/web'] },
        worker: { command: 'sleep 1 && true', argv: ['/cnb/process/worker'] },
      })
    })

    it('needs no package.json when a Procfile says what to run', async () => {
      const { image } = succeeded(
        await rig.build({ Procfile: 'web: echo "$GREETING from $(cat file)"\n', file: 'a file\n' }),
      )
      const { output } = await rig.runIn(image, ['/cnb/process/web'], ['GREETING=hello'])
      expect(output).toBe('hello from a file\n')
    })

    it('runs its build script with the variables of the build, which leave no trace in the image', async () => {
      const files = plain({ build: "node -e \"require('fs').writeFileSync('out.txt', process.env.FLAVOUR)\"" })
      const change = { env: { FLAVOUR: 'vanilla', TOKEN: 'canary-4711' } }
      const { image } = succeeded(await rig.build(files, { change }))
      expect((await rig.runIn(image, ['/bin/cat', 'out.txt'])).output).toBe('vanilla')
      const documents = JSON.stringify(documentsOf(rig, image))
      expect(documents).not.toContain('canary-4711')
      expect((await rig.runIn(image, ['/usr/bin/env'])).output).not.toContain('canary-4711')
    })

    it('takes sockets, pipes and set-uid bits into no image', async () => {
      const script =
        'mkfifo pipe && cp /bin/true tool && chmod 4755 tool && chmod 600 server.js && ln -s /etc/passwd link'
      const { image } = succeeded(await rig.build(plain({ build: script })))
      const { output } = await rig.runIn(image, ['/cnb/lifecycle/launcher', 'stat -c "%n %a %U %F" *'])
      expect(output).toContain('tool 755 croft regular file')
      expect(output).toContain('server.js 644 croft regular file')
      expect(output).toContain('link 777 croft symbolic link')
      expect(output).not.toContain('pipe')
    })

    it('cannot make the platform read its own files, or write on after the build', async () => {
      const script = [
        'ln -s /etc/hostname /layers/croft_node/leak.toml',
        '(while true; do echo more >> late.txt; sleep 0.01; done) > /dev/null 2>&1 &',
        'true',
      ].join('\n')
      const { image } = succeeded(await rig.build(plain({ build: 'sh build.sh' }, { 'build.sh': script })))
      expect(JSON.stringify(documentsOf(rig, image).labels)).not.toContain('leak')
      expect((await rig.runIn(image, ['/bin/ls', 'late.txt'])).exitCode).toBe(0)
      await expectNothingLeft(rig)
    })
  })

  describe.skipIf(needs !== null)('other versions of Node', () => {
    let rig: BuildRig
    beforeAll(() => (rig = rigOfFile()))

    it.runIf(isLong)('come from the npm registry, once', async () => {
      const files = {
        ...plain({}),
        'package.json': packageJson({ engines: { node: '22.x' }, scripts: { start: 'node --version' } }),
      }
      const first = await rig.build(files, { appId: '01890000-0000-7000-8000-000000000022' })
      expect(first.log).toMatch(
        /Installing Node\.js \(22\.x in package\.json engines\.node\)\n {7}Node\.js 22\.\d+\.\d+, npm/,
      )
      const { image } = succeeded(first)
      const second = await rig.build(
        { ...files, other: '1' },
        { appId: '01890000-0000-7000-8000-000000000022', previousImage: image },
      )
      expect(second.log).not.toContain('Installing Node.js')
      expect(succeeded(second).newLayers).toBe(1)
      expect((await rig.runIn(image, ['/cnb/process/web'])).output).toMatch(/^v22\./)
    })
  })
}
