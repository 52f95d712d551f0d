/** What a node always keeps for instances. */
const FREE_CONTAINERS = 2
const FREE_BYTES = 256 * 1024 ** 2

/** Whether a node has room for a container that nobody needs yet; `containers` counts it, and those about to be made. Pure. */
export function hasRoom(node: { containers: number; maxContainers: number; availableBytes: number }): boolean {
  return node.containers + FREE_CONTAINERS <= node.maxContainers && node.availableBytes >= FREE_BYTES
}
