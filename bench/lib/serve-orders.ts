/** Carries out the orders of the process that has started this one, until it ends. */
export function serveOrders<Order, Done> (carryOut: (order: Order) => Promise<Done>): void {
  process.on('message', (order: Order) => {
    carryOut(order).then(done => process.send!(done), (error: unknown) => {
      console.error(error)
      process.exit(1)
    })
  })
  process.on('disconnect', () => process.exit(0))
  process.send!('ready')
}
