/** The values of promises once all have settled, or the first failure: nobody works on anything any more then. */
export async function allOf<T extends readonly unknown[]>(promises: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  return valuesOf<T>((await Promise.allSettled(promises)) as { [K in keyof T]: PromiseSettledResult<T[K]> })
}

/** The values of what has settled, or the first failure. */
export async function valuesOf<T extends readonly unknown[]>(settled: {
  [K in keyof T]: PromiseSettledResult<T[K]>
}): Promise<T> {
  return (await Promise.all(
    settled.map((one) => (one.status === 'fulfilled' ? one.value : Promise.reject(one.reason as Error))),
  )) as unknown as T
}
