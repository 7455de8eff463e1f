/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's log: one line a message to stderr. log_message is in control.h. Any thread. */
#ifndef PODRAIL_LOG_H
#define PODRAIL_LOG_H

/* Messages less urgent than level (a syslog priority) are dropped. */
void log_level_set(int level);

/* Finds out whether stderr is the journal's (then each line begins with its priority). */
void log_start(void);

/* As log_message, but limited by the message's own text: for callers that wrap others' messages. */
void log_text(int priority, const char *message);

#endif
