/** List prices of us-east-1 in dollars, for one of each, November 2026: the unit prices of docs/cost.md. A test compares them. */
export const PRICES = {
  restRequest: 3.5 / 1e6,
  httpRequest: 1 / 1e6,
  invocation: 0.2 / 1e6,
  gbSecond: 0.0000133334,
  writeUnit: 0.625 / 1e6,
  readUnit: 0.125 / 1e6,
  sqsCall: 0.4 / 1e6,
  event: 1 / 1e6,
  mail: 0.1 / 1e3,
  logGb: 0.5
}
