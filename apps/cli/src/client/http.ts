/** The HTTP client, as a module of its own: it is loaded when the first request is sent, and most starts send none. */
export { Agent, request } from 'undici'
