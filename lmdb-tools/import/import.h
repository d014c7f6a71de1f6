/*
 * import.h - the readers of public data sets behind `reco import`. Each is
 * used like a subcommand: argv[0] is its name.
 */

#ifndef RECO_IMPORT_H
#define RECO_IMPORT_H

#include "tool.h"

int import_online_retail(int argc, char **argv);
int import_open_bandit(int argc, char **argv);

#endif /* RECO_IMPORT_H */
