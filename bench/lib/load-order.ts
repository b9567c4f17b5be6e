/** What the load generator is asked for. The requests of a connection have these headers in turn. */
export interface LoadOrder { url: string, headers: Record<string, string>[], seconds: number, connections: number }

/** Counts of answers by outcome, and the seconds that they took. */
export interface LoadDone { answered: number, failed: number, seconds: number }
