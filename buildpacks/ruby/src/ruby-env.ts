import { basename, join } from 'node:path'

/** Where a relocated Ruby of Debian has its parts. Pure. */

/** What lies in the layer, as far as paths depend on it. */
export interface RubyPlaces {
  /** The folder the packages were unpacked into. */
  root: string
  /** `x86_64-linux-gnu`. */
  triplet: string
  /** The folder name of the release line: `3.1.0`. */
  abi: string
}

/** Variables that make it work outside /usr; each is a list of folders that goes before what the variable has. */
export function rubyPaths({ root, triplet, abi }: RubyPlaces): Record<string, string[]> {
  const usr = (...parts: string[]): string => join(root, 'usr', ...parts)
  return {
    PATH: [usr('bin')],
    LD_LIBRARY_PATH: [usr('lib', triplet), usr('lib')],
    RUBYLIB: [
      usr('lib/ruby/vendor_ruby', abi),
      usr('lib', triplet, 'ruby/vendor_ruby', abi),
      usr('lib/ruby/vendor_ruby'),
      usr('lib/ruby', abi),
      usr('lib', triplet, 'ruby', abi),
    ],
    GEM_PATH: gemFolders({ root, triplet, abi }),
  }
}

/** The folders whose `specifications` name the gems of the layer. */
export function gemFolders({ root, triplet, abi }: RubyPlaces): string[] {
  const usr = (...parts: string[]): string => join(root, 'usr', ...parts)
  return [
    join(root, 'var/lib/gems', abi),
    usr('lib/ruby/gems', abi),
    usr('lib', triplet, 'ruby/gems', abi),
    usr('share/rubygems-integration', abi),
    usr('share/rubygems-integration/all'),
    usr('lib', triplet, 'rubygems-integration', abi),
  ]
}

/** The release of Ruby, from the name of its library: `libruby-3.1.so.3.1.2`. */
export function releaseOfLibrary(files: readonly string[]): string | null {
  const found = files.map((file) => /^libruby-[\d.]+\.so\.(\d+\.\d+\.\d+)$/.exec(basename(file))?.[1])
  return found.find((version) => version !== undefined) ?? null
}
