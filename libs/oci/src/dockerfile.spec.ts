import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DockerfileError, lineOfStep, parseDockerfile } from './dockerfile.js'

const images = (text: string): string[] => parseDockerfile(text).images.map(({ reference }) => reference)

describe('a Dockerfile', () => {
  it('is stages of instructions, each where it begins, with continued lines joined', () => {
    const { stages } = parseDockerfile(
      '# syntax=docker/dockerfile:1\nARG BASE=croft/debian-12\n\nFROM ${BASE} AS Build\nrun make \\\n  # a comment between\n\n  all\nFROM scratch\nCOPY --from=build /a /a\n',
    )
    expect(stages).toEqual([
      {
        name: 'build',
        from: 'croft/debian-12',
        instructions: [
          { line: 4, keyword: 'FROM', text: '${BASE} AS Build' },
          { line: 5, keyword: 'RUN', text: 'make   all' },
        ],
      },
      {
        name: null,
        from: 'scratch',
        instructions: [
          { line: 9, keyword: 'FROM', text: 'scratch' },
          { line: 10, keyword: 'COPY', text: '--from=build /a /a' },
        ],
      },
    ])
  })

  it.each<[string, string, string[]]>([
    ['one it builds on', 'FROM node:20', ['node:20']],
    ['none for scratch', 'FROM scratch', []],
    ['each once', 'FROM a AS x\nFROM a\nCOPY --from=x / /\nCOPY --from=a / /\nCOPY --from=0 / /', ['a']],
    ['those it copies from', 'FROM a\nCOPY --chown=1:1 --from=b/c:1 /x /y', ['a', 'b/c:1']],
    ['those a RUN mounts', 'FROM a\nRUN --mount=type=bind,from=b,target=/b make', ['a', 'b']],
    ['of another platform flag', 'FROM --platform=linux/amd64 a AS b', ['a']],
    ['an argument with its default', 'ARG V=1\nARG IMAGE="x:$V"\nFROM $IMAGE', ['x:1']],
    ['an argument that is not there', 'FROM ${IMAGE:-y}', ['y']],
    ['with the escape it chooses', '# escape=`\nFROM `\n a', ['a']],
  ])('names the images it needs: %s', (_what, text, expected) => expect(images(text)).toEqual(expected))

  it('names the secrets its commands mount', () => {
    const text = 'FROM a\nRUN --mount=type=secret,id=TOKEN,target=/t x\nRUN --mount=type=secret,target=/run/OTHER x'
    expect(parseDockerfile(text).secrets).toEqual(['TOKEN', 'OTHER'])
  })

  it.each<[string, string, number, RegExp]>([
    ['nothing', '', 1, /no FROM/],
    ['comments only', '# x\n\n', 1, /no FROM/],
    ['a misspelt instruction', 'FROM a\nRNU x', 2, /no instruction RNU/],
    ['something before FROM', '\nRUN x\nFROM a', 2, /RUN stands before the first FROM/],
    ['an instruction alone', 'FROM a\n\nRUN', 3, /RUN needs something/],
    ['a FROM of too many words', 'FROM a as b c', 1, /FROM IMAGE AS NAME/],
    ['a FROM with AS and no name', 'FROM a AS', 1, /FROM IMAGE AS NAME/],
    ['a stage twice', 'FROM a AS b\nFROM c AS B', 2, /a stage b already/],
    ['a stage with an odd name', 'FROM a AS 1', 1, /no name for a stage/],
    ['a stage that comes later', 'FROM a\nCOPY --from=3 / /', 2, /no stage 3/],
    ['an empty argument', 'ARG A\nFROM $A', 2, /is empty/],
    ['a here-document', 'FROM a\nRUN <<EOF\nmake\nEOF', 2, /here-document/],
  ])('with %s is refused by line and rule', (_what, text, line, rule) => {
    const refused = (() => {
      try {
        return parseDockerfile(text)
      } catch (error) {
        return error
      }
    })()
    expect(refused).toBeInstanceOf(DockerfileError)
    expect((refused as DockerfileError).line).toBe(line)
    expect((refused as DockerfileError).title).toMatch(rule)
    expect((refused as DockerfileError).title).toMatch(new RegExp(`^Dockerfile line ${line}: `))
  })

  it('may shift bits and compare in its commands', () => {
    expect(parseDockerfile('FROM a\nRUN echo $((1 << 2)) && cat <<<x').stages[0]?.instructions).toHaveLength(2)
  })

  it('knows the line of each step', () => {
    const dockerfile = parseDockerfile('FROM a\nRUN x\n\nFROM b\nRUN \\\n y')
    expect(lineOfStep(dockerfile, 1, 2)).toMatchObject({ line: 2 })
    expect(lineOfStep(dockerfile, 2, 2)).toMatchObject({ line: 5, text: 'y' })
    expect(lineOfStep(dockerfile, 2, 3)).toBeUndefined()
  })

  it('that is anything is read or refused by line', () => {
    const word = fc.constantFrom(
      'FROM',
      'RUN',
      'COPY',
      'ARG',
      'a',
      'b AS c',
      '\\',
      '\n',
      ' ',
      '--from=',
      '$X',
      '<<E',
      '#',
      '[',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string({ maxLength: 5 })), { maxLength: 20 }), (words) => {
        try {
          expect(parseDockerfile(words.join(' ')).stages.length).toBeGreaterThan(0)
        } catch (error) {
          expect(error).toBeInstanceOf(DockerfileError)
        }
      }),
    )
  })
})
