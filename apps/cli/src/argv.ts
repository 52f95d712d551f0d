/**
 * Makes `croft TOPIC VERB` the same as `croft TOPIC:VERB`: when the first two words name a verb together, they are joined.
 * `verbs` are the registered names and aliases. Pure.
 */
export function joinTopic(args: readonly string[], verbs: ReadonlySet<string>): string[] {
  const [topic, verb, ...rest] = args
  if (topic === undefined || verb === undefined || topic.startsWith('-') || verb.startsWith('-')) return [...args]
  const joined = `${topic}:${verb}`
  return verbs.has(joined) ? [joined, ...rest] : [...args]
}
