import { Box, choose } from 'lab:real/store@0.2.1';
import { go, take } from 'lab:real/user@0.2.1';
export function run(n) {
  const box = new Box("js€");
  box.add(new Uint32Array([1, 2, n]));
  const info = take(Box.merge(box, choose({ tag: 'by-num', val: 5n })));
  const parts = [info.name, info.n, info.tags.join()];
  try {
    choose({ tag: 'none' });
  } catch (e) {
    parts.push(String(e.payload ?? e));
  }
  for (const x of go(n)) parts.push(x.name + x.n);
  console.log("said " + n);
  return parts.join(" ") + typeof Date.now() + Math.floor(Math.random());
}
