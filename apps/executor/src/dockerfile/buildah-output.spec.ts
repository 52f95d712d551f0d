import { parseDockerfile } from '@croft/oci'
import { describe, expect, it } from 'vitest'
import { BuildahOutput, type Stream } from './buildah-output.js'

const shown = (...lines: string[]): (string | null)[] => {
  const output = new BuildahOutput()
  return lines.map((line) => output.read(line, 'stdout'))
}
const failure = (file: string, ...lines: string[]) => {
  const output = new BuildahOutput()
  for (const line of lines) output.read(line, 'stdout')
  return output.failure(parseDockerfile(file), 125)
}

describe('what buildah says', () => {
  it.each([
    ['STEP 1/3: FROM croft/debian-12', 'STEP 1/3: FROM croft/debian-12'],
    ['[1/2] STEP 2/2: RUN make', '[1/2] STEP 2/2: RUN make'],
    [`--> Using cache ${'a'.repeat(64)}`, 'as before'],
    ['--> 0123456789a', null],
    [`--> ${'0'.repeat(64)}`, null],
    ['COMMIT localhost/app:latest', null],
    ['[2/2] COMMIT localhost/app:latest', null],
    ['Successfully tagged localhost/app:latest', null],
    ['f'.repeat(64), null],
    ['Copying blob sha256:abc', null],
    ['Error: building at STEP "RUN false": while running runtime: exit status 1', null],
    ['subprocess exited with status 2', null],
    ['time="2026-11-26T05:00:00Z" level=warning msg="\\"a\\" was not used"', 'Warning: "a" was not used'],
    ['make: nothing to be done', 'make: nothing to be done'],
    ['--> ready', '--> ready'],
  ])('%s is shown as %s', (line, expected) => expect(shown(line)).toEqual([expected]))
})

describe('a Dockerfile that does not build', () => {
  it('tells line, command, exit code and the last thing it said', () => {
    const file = 'FROM scratch\nRUN true\n\nRUN make \\\n  all\n'
    expect(
      failure(
        file,
        'STEP 1/3: FROM scratch',
        'STEP 2/3: RUN true',
        'STEP 3/3: RUN make   all',
        'make: *** No rule to make target',
        'subprocess exited with status 2',
        'error building at STEP "RUN make   all": error while running runtime: exit status 2',
        'time="2026-11-26T05:00:00Z" level=error msg="exit status 2"',
      ),
    ).toEqual({
      title: 'Dockerfile line 4: RUN make all ended with exit code 2: make: *** No rule to make target',
      suggestion: 'correct line 4 of the Dockerfile, then commit and push again',
    })
  })

  it.each<[string, [string, Stream][], string]>([
    [
      'its last error, whichever stream came first',
      [
        ['no such luck', 'stderr'],
        ['working', 'stdout'],
      ],
      'no such luck',
    ],
    [
      'its last words where it told no error',
      [
        ['one', 'stdout'],
        ['two', 'stdout'],
      ],
      'two',
    ],
  ])('tells %s', (_what, lines, expected) => {
    const output = new BuildahOutput()
    output.read('a warning of an earlier step', 'stderr')
    output.read('STEP 2/2: RUN make', 'stdout')
    for (const [line, stream] of lines) output.read(line, stream)
    output.read('error building at STEP "RUN make": error while running runtime: exit status 7', 'stderr')
    expect(output.failure(parseDockerfile('FROM scratch\nRUN make\n'), 125).title).toBe(
      `Dockerfile line 2: RUN make ended with exit code 7: ${expected}`,
    )
  })

  it('tells the line in the stage it is in', () => {
    const file = 'FROM a AS x\nRUN one\nFROM b\nCOPY --from=x /none /\n'
    const { title } = failure(
      file,
      '[1/2] STEP 1/2: FROM a AS x',
      '[2/2] STEP 1/2: FROM b',
      '[2/2] STEP 2/2: COPY --from=x /none /',
      'Error: building at STEP "COPY --from=x /none /": checking on sources: copier: stat: "/none": no such file or directory',
    )
    expect(title).toBe(
      'Dockerfile line 4: COPY --from=x /none /: checking on sources: copier: stat: "/none": no such file or directory',
    )
  })

  it('for want of processes says nothing of the state its programs were in', () => {
    const output = new BuildahOutput()
    const lines = ['a', 'runtime: failed to create new OS thread (have 5 already; errno=11)', 'gs     0x0']
    expect(lines.map((line) => output.read(line, 'stderr'))).toEqual(['a', null, null])
    expect(output.hasNoThread).toBe(true)
    expect(new BuildahOutput().hasNoThread).toBe(false)
  })

  it('tells what buildah complained of when no step had begun', () => {
    expect(failure('FROM a', 'Error: no such thing').title).toBe('the Dockerfile could not be built: no such thing')
    expect(failure('FROM a').title).toBe('the Dockerfile could not be built: buildah ended with exit code 125')
  })
})
