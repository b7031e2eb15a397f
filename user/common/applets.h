/*
 * Commands that are both builtins of the shell and applets of box. Each takes an argument vector with the command's
 * name first and returns an exit status.
 */
#pragma once

int applet_echo(int argc, char **argv);
int applet_false(int argc, char **argv);
int applet_pwd(int argc, char **argv);
/* As "test"; as "[" when argv[0] says so. 0 true, 1 false, 2 not understood. */
int applet_test(int argc, char **argv);
int applet_true(int argc, char **argv);
