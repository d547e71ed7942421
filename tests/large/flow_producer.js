// What flow-py/src/prod.py is in Python: streams, a future and errors, of QuickJS.
async function* bytes(n) {
  for (let done = 0; done < n; ) {
    const from = done;
    const chunk = Uint8Array.from({ length: Math.min(1000, n - done) }, (_, i) => ((from + i) * 7 + 3) & 255);
    done += chunk.length;
    await Promise.resolve();
    yield chunk;
  }
}

async function* items(n) {
  for (let id = 0; id < n; id++) {
    await Promise.resolve();
    yield { id, name: `ité${id}`, price: id / 4 };
  }
}

export const source = {
  async numbers(n) {
    return bytes(n);
  },
  async items(n) {
    return items(n);
  },
  async title(n) {
    const { readable, writable } = wit.Future(wit.Future.STRING);
    writable.write(`title-${n}`);
    return readable;
  },
  async shout(s) {
    await Promise.resolve();
    return `${s.toUpperCase()}!`;
  },
  async check(n) {
    if (n === 0) throw { tag: "empty" };
    if (n > 5000) throw { tag: "bad", val: `too many: ${n}` };
    return n * 2;
  },
  async sum(chunks) {
    let total = 0;
    for await (const chunk of chunks) for (const byte of chunk) total += byte;
    return total;
  },
};
