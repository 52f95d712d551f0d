// oxlint-disable-next-line no-control-regex -- finding control characters is what it is for
const CONTROL = /\u001b\[[0-9;]*m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** A line of an app as it may reach a terminal: colours stay, every other control character goes. Pure. */
export function plainText(line: string): string {
  return line.replace(CONTROL, (found) => (found.length > 1 ? found : ''))
}
