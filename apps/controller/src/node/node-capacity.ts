/** What a node has in all, as it reported last. */
export interface NodeCapacity {
  memoryBytes: number
  diskBytes: number
  cpuMillis: number
  maxInstances: number
}
