/** What a node has in all, and what of its memory is available, as it reported last. */
export interface NodeCapacity {
  memoryBytes: number
  availableMemoryBytes?: number
  diskBytes: number
  cpuMillis: number
  maxInstances: number
}
