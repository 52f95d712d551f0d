/** A system user a component runs as. */
export type ComponentUser = 'croft' | 'croft-router' | 'croft-haproxy' | 'croft-redis' | 'croft-db'

export interface LaunchVector {
  command: string
  args: string[]
}

/**
 * The argument vector that runs `command` as `user` with that user's groups and, of all capabilities, only `ambient` ones.
 * setpriv executes the command in its own place, so the pid is the command's. (Node's uid option would drop the groups.) Pure.
 */
export function runAs(
  user: ComponentUser,
  command: string,
  args: readonly string[],
  ambient: readonly string[] = [],
): LaunchVector {
  const kept = ambient.map((name) => `+${name}`).join(',')
  return {
    command: '/usr/bin/setpriv',
    args: [
      `--reuid=${user}`,
      `--regid=${user}`,
      '--init-groups',
      `--inh-caps=-all${kept === '' ? '' : `,${kept}`}`,
      ...(kept === '' ? [] : [`--ambient-caps=-all,${kept}`]),
      `--bounding-set=-all${kept === '' ? '' : `,${kept}`}`,
      '--no-new-privs',
      '--',
      command,
      ...args,
    ],
  }
}
