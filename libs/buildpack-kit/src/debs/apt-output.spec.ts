import { describe, expect, it } from 'vitest'
import { aptFailure, archivesIn, candidatesIn } from './apt-output.js'

describe('what apt would fetch', () => {
  it('is read by name and version, whatever is escaped', () => {
    const text = [
      "'http://deb.debian.org/debian/pool/main/p/php8.2/php8.2-cli_8.2.29-1%7edeb12u1_amd64.deb' php8.2-cli_8.2.29-1~deb12u1_amd64.deb 1745588 SHA256:ab",
      "'http://deb.debian.org/debian/pool/main/g/git/git_2.39.5-0+deb12u2_amd64.deb' git_1%3a2.39.5-0+deb12u2_amd64.deb 7260000 SHA256:cd",
      'NOTE: something else',
    ].join('\n')
    expect(archivesIn(text)).toEqual([
      { name: 'git', version: '1:2.39.5-0+deb12u2', bytes: 7_260_000 },
      { name: 'php8.2-cli', version: '8.2.29-1~deb12u1', bytes: 1_745_588 },
    ])
  })
  it('is nothing when the stack has it all', () => expect(archivesIn('')).toEqual([]))
})

describe('what apt knows', () => {
  it('are the packages with a version to install', () => {
    const text = [
      'ruby-sinatra:',
      '  Installed: (none)',
      '  Candidate: 3.0.5-3+deb12u1',
      '  Version table:',
      '     3.0.5-3+deb12u1 500',
      'ruby-gone:',
      '  Installed: (none)',
      '  Candidate: (none)',
      '  Version table:',
      'curl:',
      '  Installed: 7.88.1',
      '  Candidate: 7.88.2',
    ].join('\n')
    expect([...candidatesIn(text)]).toEqual([
      ['ruby-sinatra', '3.0.5-3+deb12u1'],
      ['curl', '7.88.2'],
    ])
  })
})

describe('what apt could not do', () => {
  it.each([
    ['E: Unable to locate package nosuch', 'Debian 12 has no package nosuch'],
    ["E: Package 'php7.4' has no installation candidate", 'Debian 12 has no package php7.4'],
    [
      "E: Couldn't find any package by glob 'a.b'\nE: Couldn't find any package by regex 'a.b'",
      'Debian 12 has no package a.b',
    ],
    ["E: Version '9' for 'hello' was not found", 'Debian 12 has no version 9 of hello'],
    [
      'The following packages have unmet dependencies:\n a : Depends: b (>= 2) but 1 is to be installed\nE: Unable to correct problems',
      'the packages do not go together: a has a relation to b (>= 2) but 1 is to be installed',
    ],
    [
      'E: Failed to fetch http://deb.debian.org/x.deb  404  Not Found [IP: 1.2.3.4 80]',
      "Debian's archive did not give http://deb.debian.org/x.deb: 404  Not Found [IP: 1.2.3.4 80]",
    ],
    ['E: Something new', 'apt failed with exit code 100: Something new'],
  ])('%s is told as %s', (output, message) => {
    const failure = aptFailure(output, 100, 'Debian 12')
    expect(failure.message).toBe(message)
    expect(failure.remedy).not.toBe('')
  })
})
