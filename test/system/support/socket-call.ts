import { Agent, request, type Dispatcher } from 'undici'

/** One call on a unix socket. */
export async function call<T>(
  socketPath: string,
  method: Dispatcher.HttpMethod,
  path: string,
  body?: unknown,
  token?: string,
  signal?: AbortSignal,
): Promise<{ status: number; body: T }> {
  const agent = new Agent({ connect: { socketPath } })
  try {
    const response = await request(`http://rig${path}`, {
      method,
      dispatcher: agent,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    })
    const text = await response.body.text()
    return { status: response.statusCode, body: (text === '' ? undefined : JSON.parse(text)) as T }
  } finally {
    agent.destroy().catch(() => undefined)
  }
}

/** The bytes of an answer to a GET, or to a POST of a text. Throws on a refusal. */
export async function bytesOf(
  socketPath: string,
  path: string,
  { token, body }: { token?: string; body?: string } = {},
): Promise<Buffer> {
  const agent = new Agent({ connect: { socketPath } })
  try {
    const response = await request(`http://rig${path}`, {
      dispatcher: agent,
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'text/plain' }),
      },
      ...(body !== undefined && { body }),
    })
    const bytes = Buffer.from(await response.body.arrayBuffer())
    if (response.statusCode >= 300) throw new Error(`${path} answered ${response.statusCode}`)
    return bytes
  } finally {
    agent.destroy().catch(() => undefined)
  }
}
