/*
 * threads.h: starting and joining threads in tests.
 */
#pragma once

#include <pthread.h>

#include "tests/user/ktap.h"

/* Ends the case when there is no thread to be had. */
static inline pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	int err = pthread_create(&t, NULL, fn, arg);

	if (err) {
		errno = err;
		CHECK(!"pthread_create");
		_exit(1);
	}
	return t;
}

/* What the thread returned. */
static inline void *join(pthread_t t)
{
	void *result = NULL;

	CHECK_EQ(pthread_join(t, &result), 0);
	return result;
}
