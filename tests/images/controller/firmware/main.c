/* SPDX-License-Identifier: MIT */
/*
 * The stand-in's firmware: it reads a row of switches at GPIO port C, walks the keymap and writes
 * what it finds to UART 0. Small, but every table of the keymap is in it and in use, so another
 * keymap is another binary.
 */
#include <stdint.h>

#include "buildvars.h"
#include "generatedKeymap.h"
#include "kll_defs.h"

#define GPIOC_PDIR (*(volatile uint32_t *)0x400FF090)
#define UART0_S1 (*(volatile uint8_t *)0x4006A004)
#define UART0_D (*(volatile uint8_t *)0x4006A007)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

extern uint32_t data_load, data_start, data_end, bss_start, bss_end, stack_top;

static uint32_t layer = 1;
static uint32_t seen;

static void send(const char *text)
{
	for (; text && *text; text++) {
		while (!(UART0_S1 & 0x80))
			continue;
		UART0_D = (uint8_t)*text;
	}
}

static void act(uint32_t result)
{
	if ((result & 0xFF0000) != 0xFF0000) {
		UART0_D = (uint8_t)result;
		return;
	}
	send(calls[(result & 0xFFFF) % COUNT(calls)]);
	layer = layer % Layers_KLL + 1;
	send(frames[seen++ % COUNT(frames)]);
}

/* One entry: layer, triggers, 0, results, 0. */
static uint32_t step(uint32_t i, uint32_t pressed)
{
	uint32_t here = keymap[i] == layer, hit = 0;

	for (i++; i < COUNT(keymap) && keymap[i]; i++)
		hit |= here && (keymap[i] & 0xFF) == pressed;
	for (i++; i < COUNT(keymap) && keymap[i]; i++)
		if (hit)
			act(keymap[i]);
	return i + 1;
}

void reset(void)
{
	uint32_t *from = &data_load, *to = &data_start;

	while (to < &data_end)
		*to++ = *from++;
	for (to = &bss_start; to < &bss_end; to++)
		*to = 0;
	send(BOARD " " LAYOUT " " RELEASE "\n");
	UART0_D = PRODUCT & 0xFF;
	for (;;)
		for (uint32_t i = 0, pressed = GPIOC_PDIR & 0xFF; i < COUNT(keymap);)
			i = step(i, pressed);
}

static void halt(void)
{
	for (;;)
		continue;
}

__attribute__((section(".vectors"), used)) static void *const vectors[] = {
	&stack_top, reset, halt, halt, halt, halt, halt,
};
