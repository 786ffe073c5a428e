/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The calls that these programs count: numbers that do not exist, and that only this benchmark calls. */
#define FIRST_NUMBER 500000000ULL /* techniques/form.ts */
#define COUNTED(number) ((number) >= FIRST_NUMBER && (number) < FIRST_NUMBER + 1000000)
