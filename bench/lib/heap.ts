/** A queue of values by time: the earliest first, and of the same time in the order in which they came. */
export function createHeap<T> () {
  const items: { at: number, order: number, value: T }[] = []
  let order = 0
  const isBefore = (a: number, b: number) => items[a]!.at < items[b]!.at || (items[a]!.at === items[b]!.at && items[a]!.order < items[b]!.order)
  function swap (a: number, b: number) {
    const held = items[a]!
    items[a] = items[b]!
    items[b] = held
  }
  return {
    get first () { return items[0] },
    push (at: number, value: T) {
      items.push({ at, order: order++, value })
      for (let place = items.length - 1; place > 0;) {
        const parent = (place - 1) >> 1
        if (!isBefore(place, parent)) break
        swap(place, parent)
        place = parent
      }
    },
    pop () {
      const [first] = items
      const last = items.pop()!
      if (items.length > 0) {
        items[0] = last
        for (let place = 0; ;) {
          const [left, right] = [2 * place + 1, 2 * place + 2]
          let least = place
          if (left < items.length && isBefore(left, least)) least = left
          if (right < items.length && isBefore(right, least)) least = right
          if (least === place) break
          swap(place, least)
          place = least
        }
      }
      return first
    }
  }
}
