/** Calls `forget` when the promise rejects, so that the next caller tries again instead of meeting an old failure. */
export function retryLater<T>(promise: Promise<T>, forget: () => void): Promise<T> {
  promise.catch(forget);
  return promise;
}
