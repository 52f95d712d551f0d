/** What differs between the packages of two images. */
export interface PackageChanges {
  /** `from` and `to` are versions. */
  changed: { name: string; from: string; to: string }[]
  added: string[]
  removed: string[]
}

/** Compares two lists `name=version name=version …`, as the label `io.croft.base.packages` has them. Pure. */
export function packageChanges(former: string, now: string): PackageChanges {
  const before = parse(former)
  const after = parse(now)
  return {
    changed: [...after].flatMap(([name, to]) => {
      const from = before.get(name)
      return from === undefined || from === to ? [] : [{ name, from, to }]
    }),
    added: [...after.keys()].filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
  }
}

function parse(list: string): Map<string, string> {
  const pairs = list.split(' ').flatMap((pair) => {
    const at = pair.indexOf('=')
    return at <= 0 ? [] : [[pair.slice(0, at), pair.slice(at + 1)] as const]
  })
  return new Map(pairs)
}
