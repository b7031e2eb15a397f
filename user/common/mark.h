/*
 * Markers: instructions that do nothing, but that the measuring plugin of QEMU (tools/plugin/cost.c) knows. A program
 * puts one before and one behind what it wants counted. On a machine they cost an instruction.
 *
 *	MARK(1); work(); MARK(2);
 *
 * The number is a constant from 0 to 7. Everything before a marker comes before it, and nothing behind it is moved in
 * front.
 */
#pragma once

#if defined(__x86_64__)
/* A long nop whose displacement is "EXM" and the number. */
#define MARK(n) __asm__ volatile(".byte 0x0f, 0x1f, 0x80, %c0, 0x45, 0x58, 0x4d" : : "i"(n) : "memory")
#elif defined(__aarch64__)
/* A hint that no architecture version has given a meaning. */
#define MARK(n) __asm__ volatile("hint %c0" : : "i"(112 + (n)) : "memory")
#elif defined(__riscv)
/* A hint from the range that is left to users. */
#define MARK(n) __asm__ volatile("slti x0, x0, %c0" : : "i"(0x5e0 + (n)) : "memory")
#elif defined(__powerpc64__)
/* Moves a register to itself. */
#define MARK(n) __asm__ volatile("or %c0, %c0, %c0" : : "i"(16 + (n)) : "memory")
#else
#define MARK(n) __asm__ volatile("" : : "i"(n) : "memory")
#endif
