class Box {
  constructor(name) {
    this.label = name;
    this.total = 0n;
  }
  name() {
    return this.label;
  }
  add(numbers) {
    for (const x of numbers) this.total += BigInt(x);
    return this.total;
  }
  static merge(a, b) {
    const made = new Box(a.label + b.label);
    made.total = a.total + b.total;
    return made;
  }
}
export const store = {
  Box,
  describe: (box) => ({ name: box.label, n: box.total, tags: [box.label, undefined, "é"] }),
  choose(pick) {
    if (pick.tag == "none") throw "nothing";
    const box = new Box(pick.tag == "by-name" ? pick.val : "#");
    if (pick.tag == "by-num") box.total = pick.val;
    return box;
  },
};
