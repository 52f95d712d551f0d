import { digestOf, type ImageConfig } from '@croft/oci'
import { describe, expect, it } from 'vitest'
import { processesOf } from './image-process.js'

type Run = NonNullable<ImageConfig['config']>
const image = (config: Run, more: Partial<ImageConfig> = {}): ImageConfig => ({
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [digestOf('')] },
  config: { Cmd: ['/run'], ...config },
  ...more,
})
const web = (config: Run, port?: number) => processesOf(image(config), { port, nodeArch: 'x64' }).processTypes['web']

describe('a foreign image', () => {
  it('runs its entrypoint with its command as web, as its own user in its own folder', () => {
    expect(web({ Entrypoint: ['/entry', '-x'], Cmd: ['a b'], User: 'nobody:nogroup', WorkingDir: '/srv' })).toEqual({
      command: '/entry -x a b',
      argv: ['/entry', '-x', 'a b'],
      user: 'nobody:nogroup',
      dir: '/srv',
      port: 8080,
    })
    expect(web({})).toMatchObject({ argv: ['/run'], user: 'root', dir: '/' })
    expect(web({ User: '', WorkingDir: '' })).toMatchObject({ user: 'root', dir: '/' })
  })
  it.each<[string, Run, number | undefined, number]>([
    ['it exposes nothing', {}, undefined, 8080],
    ['it exposes one', { ExposedPorts: { '80/tcp': {} } }, undefined, 80],
    ['it exposes one without a protocol', { ExposedPorts: { '3000': {} } }, undefined, 3000],
    ['it exposes one for TCP', { ExposedPorts: { '53/udp': {}, '8000/tcp': {} } }, undefined, 8000],
    ['it sets PORT', { Env: ['A=1', 'PORT=5000'], ExposedPorts: { '80/tcp': {}, '81/tcp': {} } }, undefined, 5000],
    ['a person names one', { Env: ['PORT=5000'], ExposedPorts: { '80/tcp': {}, '81/tcp': {} } }, 81, 81],
    ['what it exposes is no port', { ExposedPorts: { '99999/tcp': {}, 'x/tcp': {} } }, undefined, 8080],
  ])('listens where %s', (_what, config, asked, port) => {
    expect(web(config, asked)?.port).toBe(port)
  })
  it('that exposes several ports has to be told which', () => {
    expect(() => web({ ExposedPorts: { '80/tcp': {}, '443/tcp': {} } })).toThrow('several ports: 80, 443')
  })
  it('with volumes says that they are scratch', () => {
    const { warnings } = processesOf(image({ Volumes: { '/data': {} } }), { nodeArch: 'x64' })
    expect(warnings).toEqual([expect.stringContaining('/data of the image is scratch space')])
  })
  it.each<[string, ImageConfig]>([
    ['for another system', image({}, { os: 'windows' })],
    ['for another architecture', image({}, { architecture: 's390x' })],
    ['without a command', image({ Cmd: null })],
  ])('%s is refused', (_what, config) => {
    expect(() => processesOf(config, { nodeArch: 'x64' })).toThrow()
  })
  it('made by buildpacks has the process types they say', () => {
    const label = JSON.stringify({
      processes: [
        { type: 'web', command: ['node', 's.js'] },
        { type: 'worker', command: 'node', args: ['w.js'] },
        { type: '../x' },
      ],
    })
    const { processTypes } = processesOf(
      image({ Labels: { 'io.buildpacks.build.metadata': label }, User: '1002:1000', WorkingDir: '/workspace' }),
      { nodeArch: 'x64' },
    )
    const run = { user: '1002:1000', dir: '/workspace' }
    expect(processTypes).toEqual({
      web: { command: 'node s.js', argv: ['/cnb/process/web'], ...run },
      worker: { command: 'node w.js', argv: ['/cnb/process/worker'], ...run },
    })
  })
  it('of a Dockerfile on one made by buildpacks runs what the Dockerfile says, and the other processes as before', () => {
    const label = JSON.stringify({
      processes: [
        { type: 'web', command: 'a' },
        { type: 'worker', command: 'b' },
      ],
    })
    const config = { Labels: { 'io.buildpacks.build.metadata': label }, Entrypoint: ['/mine'], Cmd: null }
    const { processTypes } = processesOf(image(config), { nodeArch: 'x64', isBuilt: true })
    expect(processTypes).toMatchObject({
      web: { argv: ['/mine'], port: 8080 },
      worker: { argv: ['/cnb/process/worker'] },
    })
  })
  it('with a Procfile has its processes beside its own, each as CMD in shell form would be', () => {
    const config = {
      Entrypoint: ['/entry'],
      Cmd: ['run'],
      User: 'app',
      WorkingDir: '/srv',
      ExposedPorts: { '3000': {} },
    }
    const of = (lines: [string, string][], more: Run = {}) =>
      processesOf(image({ ...config, ...more }), { nodeArch: 'x64', isBuilt: true, procfile: new Map(lines) })
        .processTypes
    const run = { user: 'app', dir: '/srv' }
    const shell = (command: string) => ({ command, argv: ['/entry', '/bin/sh', '-c', command], ...run })
    expect(of([['worker', 'work --all']])).toEqual({
      web: { command: '/entry run', argv: ['/entry', 'run'], port: 3000, ...run },
      worker: shell('work --all'),
    })
    expect(of([['web', 'serve $PORT']])).toEqual({ web: { ...shell('serve $PORT'), port: 3000 } })
    const bare = { Entrypoint: null, Cmd: null }
    expect(of([['clock', 'tick']], bare)).toEqual({ clock: { ...shell('tick'), argv: ['/bin/sh', '-c', 'tick'] } })
    expect(() => of([], bare)).toThrow('neither ENTRYPOINT nor CMD')
  })
  it('whose label is no description is run by its command', () => {
    expect(
      Object.keys(
        processesOf(image({ Labels: { 'io.buildpacks.build.metadata': '{' } }), { nodeArch: 'x64' }).processTypes,
      ),
    ).toEqual(['web'])
  })
})
