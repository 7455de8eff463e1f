/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_LIES_H
#define GUEST_LIES_H

void lies_list(void);

#endif
