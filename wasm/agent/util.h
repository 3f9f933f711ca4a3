/* Small tools, and what every file may ask about the process. */
#ifndef BOXRUN_UTIL_H
#define BOXRUN_UTIL_H

#include <stdbool.h>
#include <stdint.h>

/* Memory is given back to the kernel in whole pages. */
#define PAGE 4096

/* True in PID 1 of a guest, false in the test mode on a host. Set once, at the start of main(). */
extern bool in_guest;

/* /proc, kept open from the start, so that nothing the box does to its mounts matters. */
extern int proc_dir;
/* Opens /proc. False with errno. */
bool proc_open(void);

/* Closes the descriptor, if it is one, and sets it to -1. */
void close_fd(int *fd);
/* The monotonic clock. */
int64_t now_ms(void);

/* Writes the number at the end of `digits`, and returns where it begins. */
char *format_decimal(uint64_t value, char digits[24]);
/* The number at the beginning of `text`; 0 if there is no digit. */
uint64_t parse_decimal(const char *text);

/* Writes a line to the console. */
void report(const char *what, int error);

/* Overwrites an existing file, such as a setting of the kernel. */
int write_file(const char *path, const char *text);
/* mkdir -p. The path is changed on the way and restored. */
int make_directories(char *path);

#endif
