#pragma once
/* The host port uses the generic values of the Linux ABI. */
