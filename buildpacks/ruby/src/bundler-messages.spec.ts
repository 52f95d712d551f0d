import { describe, expect, it } from 'vitest'
import { bundlerFailure, isUnreachable } from './bundler-messages.js'

describe('what Bundler says', () => {
  it.each([
    ['Could not reach host index.rubygems.org. Check your network connection and try again.', true],
    ['Network error while fetching https://rubygems.org/quick/Marshal.4.8/rack-1.gemspec.rz', true],
    ['Could not fetch specs from https://rubygems.org/ due to underlying error', true],
    ["Could not find gem 'nothere' in rubygems repository https://rubygems.org/", false],
  ])('%j is a server that does not answer: %j', (output, isIt) => expect(isUnreachable(output)).toBe(isIt))

  it.each([
    [
      'Your bundle only supports platforms ["arm64-darwin-22"] but your local platform is x86_64-linux. Add it',
      'Gemfile.lock has gems for the platforms ["arm64-darwin-22"] only, not for x86_64-linux',
    ],
    [
      'Your Ruby version is 3.1.2, but your Gemfile specified ~> 3.3',
      'the Gemfile asks for Ruby ~> 3.3, and this is Ruby 3.1.2',
    ],
    [
      'You are trying to install in deployment mode after changing\nyour Gemfile. Run `bundle install` elsewhere',
      'Gemfile and Gemfile.lock disagree',
    ],
    [
      '[!] There was an error parsing `Gemfile`: syntax error. Bundler cannot continue.',
      'Gemfile cannot be read: syntax error',
    ],
    ["Could not find gem 'nothere' in locally installed gems.", 'there is no gem nothere'],
    ['An error occurred while installing pg (1.5.4), and Bundler cannot continue.', 'pg 1.5.4 was not installed'],
    ['something else', 'something else'],
    ['', 'exit code 1'],
  ])('%j becomes a cause', (output, cause) => {
    const failure = bundlerFailure('bundle install', 1, output)
    expect(failure.message).toContain(cause)
    expect(failure.remedy).not.toBe('')
  })
})
