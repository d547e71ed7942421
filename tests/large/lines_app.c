#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((import_module("lab:dw/store"), import_name("get"))) extern uint32_t get(uint32_t);

static int compare(const void *a, const void *b) { return *(int *)a - *(int *)b; }

static inline int square(int x) { return x * x + get(x & 7); }

int main(int argc, char **argv) {
  int values[100];
  double sum = 0;
  for (int i = 0; i < 100; i++)
    values[i] = square(i) % 37;
  qsort(values, 100, sizeof(int), compare);
  for (int i = 0; i < 100; i++)
    sum += values[i] * 0.5;
  char *text = malloc(100);
  snprintf(text, 100, "%.1f %d", sum, argc);
  puts(text);
  free(text);
  return 0;
}
