import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises'

/**
 * The hooks of every repository, in one folder that belongs to no repository. They ask the controller over two fifos in the
 * push's own folder and wait for its word: a controller that dies closes the fifo, and the hook refuses. Text for the person
 * who pushes goes from the controller straight into git's side band, so a hook prints nothing. Only what the shell does by itself is
 * used: each program it started would cost every push milliseconds. `sync` is the exception, for the controller would take longer to
 * start it: a fork copies the map of all its memory.
 */
const PREFIX = `#!/bin/sh
set -u
dir=\${CROFT_PUSH_DIR:-}
given() { while IFS= read -r line; do printf '%s\\n' "$line"; done; }
hears_yes() { IFS= read -r word <"$dir/answer" && [ "$word" = yes ]; }
`

const HOOKS: Readonly<Record<string, string>> = {
  // Objects are in quarantine; standard input names the refs.
  'pre-receive': `${PREFIX}
[ -n "$dir" ] || { echo "this repository takes pushes through Croft only" >&2; exit 1; }
{ printf 'pre-receive %s\\n' "\${GIT_QUARANTINE_PATH:-}"; given; printf '.\\n'; } >"$dir/ask" || exit 1
hears_yes
`,
  // Objects are visible, the ref has not moved: build and deployment happen while this waits.
  update: `${PREFIX}
[ -n "$dir" ] || { echo "this repository takes pushes through Croft only" >&2; exit 1; }
printf 'update\\n%s %s %s\\n.\\n' "$2" "$3" "$1" >"$dir/ask" || exit 1
hears_yes
`,
  // The ref has moved, the client has not heard of it: the repository is synced to disk now. Where that fails the controller tries.
  'reference-transaction': `${PREFIX}
[ "$1" = committed ] && [ -n "$dir" ] || exit 0
synced=
sync -f "$PWD" 2>/dev/null && synced=' synced'
{ printf 'committed%s\\n' "$synced"; given; printf '.\\n'; } >"$dir/ask" || exit 1
hears_yes
`,
}

/** Writes the hooks into `folder`, read-only; safe to repeat. */
export async function installHooks(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 })
  await chmod(folder, 0o755)
  for (const [name, text] of Object.entries(HOOKS)) {
    const temporary = `${folder}/.${name}.new`
    await rm(temporary, { force: true })
    await writeFile(temporary, text, { mode: 0o555 })
    await chmod(temporary, 0o555)
    await rename(temporary, `${folder}/${name}`)
  }
  await chmod(folder, 0o555)
}
