/* SPDX-License-Identifier: BSD-3-Clause */
/* Small files, written whole or not at all; nothing here follows a link in its last component. */
#ifndef CNI_FILE_H
#define CNI_FILE_H

#include <sys/types.h>

#include "cni/cni.h"

/* Writes name in the directory by way of a temporary file beside it, replacing what is there.
 * sync: also to the disk, the directory entry too. Returns 0 or a negative errno. */
int cni_file_write(int dir, const char *name, const char *text, mode_t mode, bool sync);

/* The same for a name that must be new: -EEXIST if it is there. Whoever sees it sees all of it. */
int cni_file_create(int dir, const char *name, const char *text, mode_t mode);

/* At most limit bytes, NUL-terminated, of a regular file; free(). NULL with errno. */
char *cni_file_read(int dir, const char *name, size_t limit, size_t *length);

/* The same for an open file, which is read to its end. */
char *cni_fd_read(int fd, size_t limit, size_t *length);

/* Makes the directory and its parents (0755). Returns 0 or a negative errno. */
int cni_make_path(const char *path);

/* Opens a directory, made first when asked for. Returns a descriptor or a negative errno. */
int cni_open_dir(const char *path, bool make);

/* Splits an absolute path: an open directory (made when asked for), and the last component, which
 * points into path. Returns a descriptor or a negative errno. */
int cni_open_parent(const char *path, bool make, const char **name);

/* Removes what is in the directory, at most 16 levels and 100,000 entries, without following links
 * or leaving the file system. Returns 0 or a negative errno of what stayed. */
int cni_empty_dir(int dir);

#endif
