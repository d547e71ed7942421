#include <stdint.h>
static uint32_t seen;
__attribute__((noinline)) uint32_t twice(uint32_t v) {
  seen++;
  return v * 2;
}
__attribute__((export_name("lab:dw/store#get"))) uint32_t get(uint32_t k) {
  if (k > 100)
    return 0;
  return twice(k) + seen;
}
