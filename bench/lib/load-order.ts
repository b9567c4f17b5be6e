/** What the load generator is asked for. The requests of a connection have these headers in turn. */
export interface LoadOrder { url: string, headers: Record<string, string>[], seconds: number, connections: number }

/** Counts of answers by outcome, and the seconds that they took. */
export interface LoadDone { answered: number, failed: number, seconds: number }

/** Requests that start at a rate, each from a client that leaves when it has waited for `patienceMs`. `connections` are open before. */
export interface OpenLoadOrder { url: string, headers: Record<string, string>[], seconds: number, rate: number, patienceMs: number, connections: number }

/** What became of them; `waits` are the milliseconds of the good ones. */
export interface OpenLoadDone { sent: number, good: number, rejected: number, late: number, failed: number, waits: number[], seconds: number }
